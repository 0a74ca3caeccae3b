// What a pickle may call: the list of what checkpoints need (data/formats/pickle_calls.c), beside names that would do
// something elsewhere (tests/import/gadgets.txt), in every way in which a pickle calls.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/formats/pickle.h"

static mcf_error err;

static mcf_status read_pickle(const char *bytes, size_t size)
{
    mcf_pickle *pickle;
    size_t used;
    err = (mcf_error){0};
    const mcf_status status = mcf_pickle_read(bytes, size, &pickle, &used, &err);
    if (status == MCF_OK)
        mcf_pickle_free(pickle);
    return status;
}

typedef enum { REDUCE, STACK_REDUCE, INST, OBJ, WAYS, NEWOBJ } way;

// {'model': 1, 'beside': a call of "module.name" with 'x'}
static mcf_status call(const char *full, way how)
{
    char text[1024];
    const char *dot = strrchr(full, '.');
    const int module = (int)(dot - full), length = (int)strlen(dot + 1);
    int n = snprintf(text, sizeof text, "}(S'model'\nI1\nS'beside'\n");
    switch (how) {
    case STACK_REDUCE:
        text[n++] = (char)0x8c;
        text[n++] = (char)module;
        n += snprintf(text + n, sizeof text - (size_t)n, "%.*s", module, full);
        text[n++] = (char)0x8c;
        text[n++] = (char)length;
        n += snprintf(text + n, sizeof text - (size_t)n, "%s\x93(S'x'\ntR", dot + 1);
        break;
    case INST:
        n += snprintf(text + n, sizeof text - (size_t)n, "(S'x'\ni%.*s\n%s\n", module, full, dot + 1);
        break;
    case OBJ:
        n += snprintf(text + n, sizeof text - (size_t)n, "(c%.*s\n%s\nS'x'\no", module, full, dot + 1);
        break;
    default:
        n += snprintf(text + n, sizeof text - (size_t)n, "c%.*s\n%s\n(S'x'\nt%c", module, full, dot + 1,
                      how == NEWOBJ ? 0x81 : 'R');
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "u.");
    return read_pickle(text, (size_t)n);
}

static void gadgets_are_refused_whole(void **state)
{
    char *text;
    size_t size;
    int count = 0, refused = 0;
    (void)state;
    assert_int_equal(mcf_file_read(MCF_SOURCE_DIR "/tests/import/gadgets.txt", 1 << 20, &text, &size, &err), MCF_OK);
    for (char *name = strtok(text, "\n"); name; name = strtok(NULL, "\n")) {
        for (way how = REDUCE; how < WAYS; how++) {
            count++;
            const mcf_status status = call(name, how);
            refused += status == MCF_ERR_FORMAT && strstr(err.message, "refused, nothing was run") != NULL &&
                       strstr(err.message, name) != NULL;
            if (status == MCF_OK)
                print_error("%s is called, way %d\n", name, (int)how);
        }
    }
    printf("%d of %d calls of known gadgets are refused\n", refused, count);
    free(text);
    assert_true(count > 1800);
    assert_int_equal(refused, count);
}

// NEWOBJ makes an object without its initialiser: of other projects' classes a settings object, of Python's own by the list.
static void classes_of_settings_pass(void **state)
{
    (void)state;
    static const char *const pass[] = {"omegaconf.dictconfig.DictConfig",
                                       "yacs.config.CfgNode",
                                       "__main__.Settings",
                                       "mmengine.logging.history_buffer.HistoryBuffer",
                                       "uuid.UUID",
                                       "torch.nn.modules.linear.Linear",
                                       "argparse.Namespace"};
    static const char *const stay[] = {"subprocess.Popen",       "os.system",     "threading.Timer",
                                       "types.FunctionType",     "builtins.eval", "code.InteractiveInterpreter",
                                       "importlib.import_module"};
    for (size_t i = 0; i < sizeof pass / sizeof *pass; i++)
        if (call(pass[i], NEWOBJ) != MCF_OK)
            fail_msg("%s: %s", pass[i], err.message);
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
        assert_int_equal(call(stay[i], NEWOBJ), MCF_ERR_FORMAT);
}

#define PICKLE(text) (text), sizeof(text) - 1

static void calls_depend_on_what_they_are_given(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        bool pass;
    } cases[] = {
        // partial(os.system, 'x'): made, never called
        {PICKLE("cfunctools\npartial\n(cos\nsystem\nS'x'\ntR."), true},
        // partial(os.system, 'x')()
        {PICKLE("cfunctools\npartial\n(cos\nsystem\nS'x'\ntR)R."), false},
        // defaultdict(partial(...))[1], by operator.getitem
        {PICKLE("coperator\ngetitem\n(ccollections\ndefaultdict\n(cos\ngetcwd\ntRI1\ntR."), false},
        // typing.Optional[int]
        {PICKLE("coperator\ngetitem\n(ctyping\nUnion\n(cbuiltins\nint\ncbuiltins\nNoneType\nttR."), true},
        // getattr(namespace, 'step'), and its call
        {PICKLE("cbuiltins\ngetattr\n(cargparse\nNamespace\n)RS'step'\ntR."), true},
        {PICKLE("c__builtin__\ngetattr\n(cargparse\nNamespace\n)RS'step'\ntR)R."), false},
        // an object of a class, by protocol 0 and 1; of Python's own
        {PICKLE("ccopy_reg\n_reconstructor\n(cyacs.config\nCfgNode\nc__builtin__\ndict\n}tR."), true},
        {PICKLE("ccopy_reg\n_reconstructor\n(csubprocess\nPopen\nc__builtin__\nobject\nNtR."), false},
        {PICKLE("ccopy_reg\n_reconstructor\n(cyacs.config\nCfgNode\ncos\nsystem\n}tR."), false},
        {PICKLE("ccopyreg\n__newobj__\n(c__main__\nSettings\ntR."), true},
        {PICKLE("ccopyreg\n__newobj__\n(cos\nsystem\ntR."), false},
        // a rebuilder that calls what it is given
        {PICKLE("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n)}tR."),
         true},
        {PICKLE("ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nctorch\nTensor\n(S'x'\nt}tR."), false},
        // names that are only named
        {PICKLE("cos\nsystem\n."), true},
        // a state for a class itself
        {PICKLE("cargparse\nNamespace\n}S'x'\nI1\nsb."), false},
        // a name behind a name
        {PICKLE("\x8c\x0b"
                "collections\x8c\x14"
                "OrderedDict.fromkeys\x93)R."),
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const mcf_status status = read_pickle(cases[i].text, cases[i].size);
        if ((status == MCF_OK) != cases[i].pass || (!cases[i].pass && !strstr(err.message, "refused, nothing was run")))
            fail_msg("case %zu: %s", i, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gadgets_are_refused_whole),
        cmocka_unit_test(classes_of_settings_pass),
        cmocka_unit_test(calls_depend_on_what_they_are_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
