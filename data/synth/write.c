// Threads draw identities in turn; their lines go into the lists in the identities' order.
#define _GNU_SOURCE
#include "data/synth/write.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "data/synth/layouts.h"

typedef struct {
    const mcf_synth_write_options *o;
    int64_t identities, first_test;
    mcf_file_writer *lists[LISTS];
    pthread_mutex_t lock;
    pthread_cond_t turned;
    int64_t next, turn, done; // identity to draw, identity whose lines come next, pictures made
    mcf_status status;        // the first failure, with
    mcf_error err;
} job;

mcf_status mcf_synth_layouts_parse(const char *words, unsigned *layouts, mcf_error *err)
{
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {{"all", MCF_SYNTH_ALL},      {"none", 0},
                 {"wflw", MCF_SYNTH_WFLW},    {"300w", MCF_SYNTH_300W},
                 {"aflw", MCF_SYNTH_AFLW},    {"lapa", MCF_SYNTH_LAPA},
                 {"celeba", MCF_SYNTH_CELEBA}};
    *layouts = 0;
    for (const char *at = words;; at++) {
        size_t length = strcspn(at, ","), i = 0, count = sizeof known / sizeof *known;
        while (i < count && (strlen(known[i].name) != length || strncasecmp(known[i].name, at, length) != 0))
            i++;
        if (i == count)
            return mcf_fail(err, MCF_ERR_USAGE, "layouts: '%.*s' is none of all, none, wflw, 300w, aflw, lapa, celeba",
                            (int)length, at);
        *layouts |= known[i].bit;
        at += length;
        if (!*at)
            return MCF_OK;
    }
}

static void fail_job(job *j, mcf_status status, const mcf_error *err)
{
    pthread_mutex_lock(&j->lock);
    if (j->status == MCF_OK) {
        j->status = status;
        j->err = *err;
    }
    pthread_cond_broadcast(&j->turned);
    pthread_mutex_unlock(&j->lock);
}

static mcf_status draw_identity(job *j, mcf_synth *synth, int64_t identity, text lines[LISTS], mcf_bytes scratch[2],
                                mcf_error *err)
{
    const mcf_synth_write_options *o = j->o;
    int64_t first = identity * o->per_identity;
    int64_t end = first + o->per_identity < o->count ? first + o->per_identity : o->count;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/images/%06lld", o->out, (long long)identity);
    MCF_TRY(mcf_directory_make(folder, err));
    for (int64_t i = first; i < end; i++) {
        mcf_synth_face face;
        bool test = identity >= j->first_test;
        picture_name name = {i, (uint64_t)identity, (uint32_t)(i - first), test,
                             test ? i - j->first_test * o->per_identity : i};
        if (o->stop && *o->stop)
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "%s: interrupted; the same command begins anew", o->out);
        MCF_TRY(mcf_synth_render(synth, o->seed, name.identity, name.number, &face, err));
        MCF_TRY(mcf_layout_files(o->out, o->layouts, &name, &face, scratch, err));
        mcf_layout_lines(lines, o->layouts, &name, &face);
        pthread_mutex_lock(&j->lock);
        j->done++;
        if (o->progress)
            o->progress(o->context, j->done, o->count);
        bool others_failed = j->status != MCF_OK;
        pthread_mutex_unlock(&j->lock);
        if (others_failed)
            return MCF_OK;
    }
    return MCF_OK;
}

static mcf_status append_lines(job *j, int64_t identity, text lines[LISTS], mcf_error *err)
{
    mcf_status status = MCF_OK;
    pthread_mutex_lock(&j->lock);
    while (j->turn != identity && j->status == MCF_OK)
        pthread_cond_wait(&j->turned, &j->lock);
    for (int i = 0; i < LISTS && j->status == MCF_OK && status == MCF_OK; i++) {
        if (lines[i].failed)
            status = mcf_fail(err, MCF_ERR_NOMEM, "synthetic faces: no memory for the lines of %s",
                              mcf_layout_lists[i].path);
        else if (lines[i].size)
            status = mcf_file_writer_write(j->lists[i], lines[i].text, lines[i].size, err);
        lines[i].size = 0;
    }
    j->turn = identity + 1;
    pthread_cond_broadcast(&j->turned);
    pthread_mutex_unlock(&j->lock);
    return status;
}

static void *work(void *context)
{
    job *j = context;
    mcf_error err = {0};
    mcf_synth *synth;
    text lines[LISTS] = {0};
    mcf_bytes scratch[2] = {0};
    mcf_status status = mcf_synth_create(&synth, j->o->size, &err);
    if (status == MCF_OK)
        mcf_synth_set_framing(synth, j->o->framing);
    while (status == MCF_OK) {
        pthread_mutex_lock(&j->lock);
        int64_t identity = j->next;
        bool over = j->status != MCF_OK || identity >= j->identities;
        j->next += !over;
        pthread_mutex_unlock(&j->lock);
        if (over)
            break;
        status = draw_identity(j, synth, identity, lines, scratch, &err);
        if (status == MCF_OK)
            status = append_lines(j, identity, lines, &err);
    }
    if (status != MCF_OK)
        fail_job(j, status, &err);
    mcf_synth_free(synth);
    for (int i = 0; i < LISTS; i++)
        mcf_text_free(&lines[i]);
    mcf_bytes_free(&scratch[0]);
    mcf_bytes_free(&scratch[1]);
    return NULL;
}

static mcf_status open_lists(job *j, mcf_error *err)
{
    for (int i = 0; i < LISTS; i++) {
        const list_entry *l = &mcf_layout_lists[i];
        if (l->layout && !(j->o->layouts & l->layout))
            continue;
        char *path = mcf_path_join(j->o->out, l->path);
        if (!path)
            return mcf_fail(err, MCF_ERR_NOMEM, "synthetic faces: no memory");
        mcf_status status = mcf_file_writer_open(&j->lists[i], path, err);
        free(path);
        text head = {0};
        if (status == MCF_OK && l->head) {
            l->head(&head);
            status = head.failed ? mcf_fail(err, MCF_ERR_NOMEM, "synthetic faces: no memory")
                                 : mcf_file_writer_write(j->lists[i], head.text, head.size, err);
        }
        mcf_text_free(&head);
        MCF_TRY(status);
    }
    return MCF_OK;
}

// All pictures and masks reach the disk before the lists that name them get their names.
static mcf_status close_lists(job *j, mcf_error *err)
{
    int fd = open(j->o->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0) {
        mcf_status status = mcf_fail(err, MCF_ERR_IO, "%s: %s", j->o->out, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    close(fd);
    for (int i = 0; i < LISTS; i++) {
        mcf_file_writer *w = j->lists[i];
        j->lists[i] = NULL;
        if (w)
            MCF_TRY(mcf_file_writer_commit(w, NULL, NULL, err));
    }
    return MCF_OK;
}

static mcf_status run_threads(job *j, mcf_error *err)
{
    int count = j->o->workers, started = 0;
    if ((int64_t)count > j->identities)
        count = (int)j->identities;
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    if (!threads)
        return mcf_fail(err, MCF_ERR_NOMEM, "synthetic faces: no memory");
    while (started < count && pthread_create(&threads[started], NULL, work, j) == 0)
        started++;
    if (started == 0)
        work(j); // no threads to be had: alone, then
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    if (j->status != MCF_OK && err)
        *err = j->err;
    return j->status;
}

static mcf_status check_options(const mcf_synth_write_options *o, mcf_error *err)
{
    if (o->count < 1 || o->per_identity < 1 || o->per_identity > MCF_SYNTH_MAX_NUMBER || o->workers < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "synthetic faces: count, pictures of an identity and workers start at 1");
    if (!(o->test_fraction >= 0 && o->test_fraction <= 1))
        return mcf_fail(err, MCF_ERR_USAGE, "synthetic faces: the test fraction lies between 0 and 1");
    if ((o->layouts & MCF_SYNTH_CELEBA) && o->count > 100000)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "synthetic faces: CelebAMask-HQ's layout numbers at most 100000 pictures; leave it "
                        "out with --layouts");
    return MCF_OK;
}

// --- the folder: what stands there is neither followed nor overwritten, unless `force` says so or an interrupted run left it

static const char unfinished[] = ".mcf-synth-unfinished";

static bool stands(const char *out, const char *name)
{
    struct stat info;
    char *path = mcf_path_join(out, name);
    const bool is = path && lstat(path, &info) == 0;
    free(path);
    return is;
}

static mcf_status remove_part(const char *out, const char *name, mcf_error *err)
{
    char *path = mcf_path_join(out, name);
    mcf_status status = path ? mcf_tree_remove(path, err) : mcf_fail(err, MCF_ERR_NOMEM, "synthetic faces: no memory");
    free(path);
    return status;
}

// `force` is for faces of this command, which labels.jsonl beside them tells, and for links, whose targets stay.
static bool may_go(const mcf_synth_write_options *o, bool made, const char *name)
{
    struct stat info;
    char *path = mcf_path_join(o->out, name);
    const bool link = path && lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
    free(path);
    return made || link;
}

static mcf_status clear_folder(const mcf_synth_write_options *o, mcf_error *err)
{
    static const char *const parts[] = {"labels.jsonl", "images", "WFLW", "300W", "AFLW", "LaPa", "CelebAMask-HQ"};
    enum { PARTS = sizeof parts / sizeof *parts };
    const bool made = stands(o->out, parts[0]), left = stands(o->out, unfinished);
    MCF_TRY(mcf_directory_make(o->out, err));
    for (size_t i = 0; i < PARTS && !left; i++) {
        if (stands(o->out, parts[i]) && !o->force)
            return mcf_fail(err, MCF_ERR_USAGE,
                            "%s has %s already (%s); name another folder or remove it; --force replaces what is there",
                            o->out, i ? "something of that name" : "synthetic faces", parts[i]);
        if (stands(o->out, parts[i]) && !may_go(o, made, parts[i]))
            return mcf_fail(err, MCF_ERR_USAGE,
                            "%s has %s but no %s, so it was not made by this command; name another folder or remove it",
                            o->out, parts[i], parts[0]);
    }
    // The mark first: whoever is stopped while parts go may go on.
    char *path = mcf_path_join(o->out, unfinished);
    mcf_status status = path ? mcf_file_write(path, "", 0, err) : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    free(path);
    for (size_t i = 0; i < PARTS && status == MCF_OK; i++)
        status = remove_part(o->out, parts[i], err);
    return status;
}

mcf_status mcf_synth_write(const mcf_synth_write_options *o, mcf_error *err)
{
    MCF_TRY(check_options(o, err));
    job j = {.o = o, .identities = (o->count + o->per_identity - 1) / o->per_identity};
    j.first_test = j.identities - (int64_t)(o->test_fraction * (double)j.identities + 0.5);
    MCF_TRY(clear_folder(o, err));
    MCF_TRY(mcf_layout_folders(o->out, o->layouts, o->count, err));
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.turned, NULL);
    mcf_status status = open_lists(&j, err);
    if (status == MCF_OK)
        status = run_threads(&j, err);
    if (status == MCF_OK)
        status = close_lists(&j, err);
    if (status == MCF_OK)
        status = remove_part(o->out, unfinished, err);
    for (int i = 0; i < LISTS; i++)
        mcf_file_writer_abort(j.lists[i]);
    pthread_cond_destroy(&j.turned);
    pthread_mutex_destroy(&j.lock);
    return status;
}
