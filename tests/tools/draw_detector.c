// Writes a detector with drawn weights for the shell tests: draw_detector FILE [LEAN].
#include "tests/infer/detector_weights.h"

int main(int argc, char **argv)
{
    mcf_error err;
    const float lean = argc == 3 ? strtof(argv[2], NULL) : 0;
    if (argc < 2 || argc > 3 || write_drawn_detector(argv[1], 4, lean, &err) != MCF_OK) {
        fprintf(stderr, "draw_detector FILE [LEAN]: %s\n", argc == 2 || argc == 3 ? err.message : "give a file");
        return 1;
    }
    return 0;
}
