// The table of keys, one row a key. Reading, checking, dumping and docs/config.md
// are made from it.
#ifndef MCF_RUN_CONFIG_TABLE_H
#define MCF_RUN_CONFIG_TABLE_H

#include "run/config/options.h"

typedef enum {
    MCF_KEY_INT,      // int
    MCF_KEY_SEED,     // uint64_t, 0 to 2^63 - 1
    MCF_KEY_NUMBER,   // double
    MCF_KEY_OPTIONAL, // double, -1 when not given
    MCF_KEY_BOOL,     // bool
    MCF_KEY_STRING,   // char[MCF_MAX_PATH]
    MCF_KEY_CHOICE,   // an enum; names: its values' words from 0 on, separated by blanks
    MCF_KEY_INTS,     // int[most], the count in the int at count_offset
    MCF_KEY_NUMBERS,  // double[most], all given
    MCF_KEY_PATHS,    // mcf_path_list
    MCF_KEY_PERIOD    // mcf_period
} mcf_key_kind;

// Which jobs use a key; one given to another job is refused.
enum {
    MCF_USE_MCF = 1,
    MCF_USE_MOCO = 2,
    MCF_USE_ALIGN = 4,
    MCF_USE_PARSE = 8,
    MCF_USE_PRETRAIN = MCF_USE_MCF | MCF_USE_MOCO,
    MCF_USE_DOWNSTREAM = MCF_USE_ALIGN | MCF_USE_PARSE,
    MCF_USE_ALL = MCF_USE_PRETRAIN | MCF_USE_DOWNSTREAM
};

typedef struct {
    const char *path;
    mcf_key_kind kind;
    int uses;
    size_t offset;
    const char *standard; // default, as YAML; NULL: not given
    double low, high;     // of each number
    bool low_open, high_open;
    const char *names;   // MCF_KEY_CHOICE
    size_t count_offset; // MCF_KEY_INTS
    int most;            // items
    const char *doc;
} mcf_config_key;

extern const mcf_config_key mcf_config_keys[];
extern const size_t mcf_config_key_count;

int mcf_config_use(const mcf_config *config); // the MCF_USE_ bit of its job
const char *mcf_config_job_name(int use);     // "task pretrain, method mcf"

#endif
