/* How alike are two faces? Prints the cosine of their features.
 *
 *     cc embed.c $(pkg-config --cflags --libs mcf) -lm -o embed
 *     ./embed runs/small face1.jpg face2.jpg
 */
#include <math.h>
#include <mcf.h>
#include <stdio.h>
#include <stdlib.h>

static double cosine(const float *a, const float *b, int n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < n; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

int main(int argc, char **argv)
{
    mcf_failure failure;
    mcf_encoder *encoder = NULL;
    float *features = NULL;
    int status = 1;

    if (argc < 3) {
        fprintf(stderr, "usage: embed CHECKPOINT IMAGE [IMAGE]\n");
        return 2;
    }
    if (mcf_encoder_open(&encoder, argv[1], NULL, &failure) != MCF_SUCCESS)
        goto failed;

    int dim = mcf_encoder_dim(encoder), images = argc > 3 ? 2 : 1;
    features = malloc(sizeof *features * (size_t)dim * 2);
    if (!features)
        goto done;
    for (int i = 0; i < images; i++)
        if (mcf_encoder_embed_file(encoder, argv[2 + i], features + i * dim, NULL, &failure) != MCF_SUCCESS)
            goto failed;

    printf("%d features from images of %d x %d pixels, mcf %s\n", dim, mcf_encoder_image_size(encoder),
           mcf_encoder_image_size(encoder), mcf_version());
    for (int i = 0; i < 4 && i < dim; i++)
        printf("%.6f ", features[i]);
    printf("...\n");
    if (images == 2)
        printf("cosine %.6f\n", cosine(features, features + dim, dim));
    status = 0;
    goto done;

failed:
    fprintf(stderr, "embed: %s\n", failure.message);
done:
    free(features);
    mcf_encoder_close(encoder);
    return status;
}
