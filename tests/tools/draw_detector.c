// Writes a detector with drawn weights for the shell tests: draw_detector FILE.
#include "tests/infer/detector_weights.h"

int main(int argc, char **argv)
{
    mcf_error err;
    if (argc != 2 || write_drawn_detector(argv[1], 4, &err) != MCF_OK) {
        fprintf(stderr, "draw_detector FILE: %s\n", argc == 2 ? err.message : "give a file");
        return 1;
    }
    return 0;
}
