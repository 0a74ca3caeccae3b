// SIGINT, SIGTERM and SIGHUP ask the running job to save and stop; asking twice stops it at once.
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static volatile sig_atomic_t interrupted;
static const char *answer; // said once, on the first signal
static unsigned seconds_left;
static enum { NOT_ASKED, HANDLED, IGNORED } hangup;

static void on_alarm(int number)
{
    static const char words[] = "mcf: stopped\n";
    (void)number;
    if (write(STDERR_FILENO, words, sizeof words - 1) < 0)
        _exit(130);
    _exit(130);
}

static void on_signal(int number)
{
    (void)number;
    if (interrupted)
        _exit(130);
    interrupted = 1;
    if (seconds_left)
        alarm(seconds_left);
    if (answer && write(STDERR_FILENO, answer, strlen(answer)) < 0)
        return; // nobody reads
}

void mcf_interrupt_answer(const char *line)
{
    answer = line;
}

void mcf_interrupt_install(unsigned patience)
{
    // nohup has SIGHUP ignored, and means it. Asked the first time only: LLVM, in OpenCL's drivers, handles it later.
    struct sigaction before;
    if (hangup == NOT_ASKED)
        hangup = sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN ? HANDLED : IGNORED;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    seconds_left = patience;
    if (!patience)
        alarm(0);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (hangup != IGNORED)
        sigaction(SIGHUP, &action, NULL);
}

const volatile sig_atomic_t *mcf_interrupt_flag(void)
{
    return &interrupted;
}
