// judge_step GOT WANT INIT RTOL: whether results of `mcf step` agree, by tests/judge.h. For shell tests.
#include "tests/judge.h"

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "judge_step GOT WANT INIT RTOL\n");
        return 2;
    }
    const judgement j = judge(argv[1], argv[2], argv[3], atof(argv[4]), true);
    printf("%d tensors, %d off, %d missing; the worst, %s, is off by %.2e\n", j.tensors, j.off, j.missing, j.worst_name,
           j.worst_error);
    return j.tensors == 0 || j.off || j.missing;
}
