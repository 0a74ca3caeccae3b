// judge_step GOT WANT INIT RTOL|bf16|fp16: whether results of `mcf step` agree, by tests/judge.h or, in 16 bits, by
// tests/judge_half.h. For shell tests.
#include "tests/judge_half.h"

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "judge_step GOT WANT INIT RTOL|bf16|fp16\n");
        return 2;
    }
    const bool fp16 = !strcmp(argv[4], "fp16"), half = fp16 || !strcmp(argv[4], "bf16");
    const judgement j =
        half ? judge_half(argv[1], argv[2], fp16) : judge(argv[1], argv[2], argv[3], atof(argv[4]), true);
    printf("%d tensors, %d off, %d missing; the worst, %s, is off by %.2e\n", j.tensors, j.off, j.missing, j.worst_name,
           j.worst_error);
    return j.tensors == 0 || j.off || j.missing;
}
