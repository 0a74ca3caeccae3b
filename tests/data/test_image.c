// Decoding and encoding: the same pixels as PIL, and clear words about what is no picture.
#include "tests/data/helpers.h"

#include <jpeglib.h>

typedef struct {
    const char *name;
    int tolerance; // 0 for PNG; JPEG may differ by a level with another libjpeg than PIL's
} fixture;

static const fixture fixtures[] = {
    {"rgb444.jpg", 1},       {"rgb422.jpg", 1},     {"rgb420.jpg", 1},  {"progressive.jpg", 1}, {"grey.jpg", 1},
    {"cmyk.jpg", 2},         {"one.jpg", 1},        {"rgb.png", 0},     {"rgb_trns.png", 0},    {"rgba.png", 0},
    {"grey.png", 0},         {"grey_alpha.png", 0}, {"bilevel.png", 0}, {"palette.png", 0},     {"palette4.png", 0},
    {"palette_trns.png", 0}, {"rgb16.png", 0},      {"grey16.png", 0},  {"interlaced.png", 0},
};

static void decode_equals_pil(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof fixtures / sizeof *fixtures; f++) {
        mcf_bytes bytes = read_fixture(fixtures[f].name), buffer = {0};
        ppm expected = read_ppm(fixtures[f].name);
        for (int channels = 3; channels <= 4; channels++) {
            mcf_decode_options options = {.channels = channels};
            mcf_decoded decoded;
            mcf_error err = {0};
            if (mcf_image_decode(bytes.data, bytes.size, &options, &buffer, &decoded, &err) != MCF_OK)
                fail_msg("%s: %s", fixtures[f].name, err.message);
            assert_int_equal(decoded.image.width, expected.width);
            assert_int_equal(decoded.image.height, expected.height);
            assert_int_equal(decoded.original_width, expected.width);
            int worst = 0;
            for (int i = 0; i < expected.width * expected.height * 3; i++) {
                int difference = abs(decoded.image.pixels[i / 3 * channels + i % 3] - expected.pixels[i]);
                worst = difference > worst ? difference : worst;
            }
            if (worst > fixtures[f].tolerance)
                fail_msg("%s with %d channels: off by %d", fixtures[f].name, channels, worst);
        }
        mcf_bytes_free(&bytes);
        mcf_bytes_free(&buffer);
        free(expected.pixels);
    }
}

// Every beginning of every fixture: an error or, where only the end marker is missing, the whole picture.
static void truncation_is_an_error(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof fixtures / sizeof *fixtures; f++) {
        mcf_bytes bytes = read_fixture(fixtures[f].name), buffer = {0};
        mcf_decoded decoded;
        for (size_t size = 0; size + 16 < bytes.size; size++) {
            uint8_t *copy = malloc(size ? size : 1); // exact size: ASan sees a read past it
            memcpy(copy, bytes.data, size);
            mcf_error err = {0};
            mcf_status status = mcf_image_decode(copy, size, NULL, &buffer, &decoded, &err);
            free(copy);
            if (status != MCF_ERR_FORMAT)
                fail_msg("%s cut to %zu of %zu bytes was accepted", fixtures[f].name, size, bytes.size);
            if (size > 8 && !strstr(err.message, "truncated"))
                fail_msg("%s cut to %zu bytes: %s", fixtures[f].name, size, err.message);
        }
        mcf_bytes_free(&bytes);
        mcf_bytes_free(&buffer);
    }
}

static void missing_end_marker_is_fine(void **state)
{
    (void)state;
    mcf_bytes bytes = read_fixture("rgb420.jpg"), buffer = {0};
    mcf_decoded decoded;
    assert_int_equal(mcf_image_decode(bytes.data, bytes.size - 2, NULL, &buffer, &decoded, NULL), MCF_OK);
    mcf_bytes_free(&bytes);
    mcf_bytes_free(&buffer);
}

static void expect_error(const void *bytes, size_t size, const char *words)
{
    mcf_bytes buffer = {0};
    mcf_decoded decoded;
    mcf_error err = {0};
    const mcf_status status = mcf_image_decode(bytes, size, NULL, &buffer, &decoded, &err);
    // A whole picture of another kind is told from what is no picture or damaged.
    assert_int_equal(status, strncmp(words, "a ", 2) == 0 || strncmp(words, "an ", 3) == 0 ? MCF_ERR_UNSUPPORTED
                                                                                           : MCF_ERR_FORMAT);
    assert_int_equal(err.status, status);
    assert_int_equal(decoded.refusal == MCF_IMAGE_UNSUPPORTED, status == MCF_ERR_UNSUPPORTED);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not say '%s'", err.message, words);
    mcf_bytes_free(&buffer);
}

static void no_picture_is_named(void **state)
{
    (void)state;
    expect_error("", 0, "empty");
    expect_error("these are my holiday notes\n", 27, "text");
    expect_error("GIF89a\1\0\1\0", 10, "a GIF");
    expect_error("BM\66\0\0\0\0\0\0\0\66\0\0\0\50\0\0\0", 18, "a BMP");
    expect_error("BMW is a make of cars, not of pictures\n", 39, "text");
    expect_error("\xff\x0a\xfa\x1f", 4, "a JPEG XL");
    expect_error("\0\0\0\x0cJXL \r\n\x87\n", 12, "a JPEG XL");
    expect_error("\0\0\0\x18"
                 "ftypmif1",
                 12, "a HEIF");
    expect_error("\0\0\0\x18"
                 "ftypmp42",
                 12, "a video");
    expect_error("8BPS\0\1", 6, "a Photoshop");
    expect_error("P6\n64 48\n255\n", 13, "a Netpbm");
    expect_error("\0\0\1\0\1\0", 6, "an icon");
    expect_error("%PDF-1.4\n", 9, "a PDF");
    expect_error("<svg xmlns='x'/>", 16, "an SVG");
    expect_error("RIFF\1\2\3\4WEBPVP8 ", 16, "WebP");
    expect_error("\1\2\3", 3, "neither JPEG nor PNG");
}

static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size * 8; i++) {
        crc ^= i % 8 == 0 ? bytes[i / 8] : 0;
        crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
}

// A header may claim any size; nothing is allocated for a claim above the limit.
static void huge_pictures_are_refused(void **state)
{
    (void)state;
    const uint32_t claims[][2] = {{60000, 60000}, {0x7fffffff, 1}, {10001, 10000}};
    for (int k = 0; k < 3; k++) {
        mcf_bytes bytes = read_fixture("rgb.png"), buffer = {0};
        mcf_decoded decoded;
        for (int i = 0; i < 8; i++)
            bytes.data[16 + i] = (uint8_t)(claims[k][i / 4] >> (24 - 8 * (i % 4)));
        uint32_t crc = crc32_of(bytes.data + 12, 17);
        for (int i = 0; i < 4; i++)
            bytes.data[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
        mcf_error err = {0};
        assert_int_equal(mcf_image_decode(bytes.data, bytes.size, NULL, &buffer, &decoded, &err), MCF_ERR_FORMAT);
        assert_true(strstr(err.message, "limit") || strstr(err.message, "IHDR"));
        assert_int_equal(buffer.capacity, 0);
        mcf_bytes_free(&bytes);
    }

    mcf_bytes bytes = read_fixture("rgb444.jpg");
    for (size_t i = 0; i + 9 < bytes.size; i++)
        if (bytes.data[i] == 0xff && bytes.data[i + 1] == 0xc0)
            memcpy(bytes.data + i + 5, "\xea\x60\xea\x60", 4);
    expect_error(bytes.data, bytes.size, "limit");
    mcf_bytes_free(&bytes);
}

// Adobe's inverted CMYK and its YCC form, made here with libjpeg, are the same picture.
static mcf_bytes encode_cmyk(J_COLOR_SPACE space)
{
    struct jpeg_compress_struct encoder;
    struct jpeg_error_mgr errors;
    encoder.err = jpeg_std_error(&errors);
    jpeg_create_compress(&encoder);
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    jpeg_mem_dest(&encoder, &bytes, &size);
    encoder.image_width = encoder.image_height = 24;
    encoder.input_components = 4;
    encoder.in_color_space = JCS_CMYK;
    jpeg_set_defaults(&encoder);
    jpeg_set_colorspace(&encoder, space);
    jpeg_set_quality(&encoder, 100, TRUE);
    for (int i = 0; i < 4; i++)
        encoder.comp_info[i].h_samp_factor = encoder.comp_info[i].v_samp_factor = 1;
    jpeg_start_compress(&encoder, TRUE);
    for (int y = 0; y < 24; y++) {
        uint8_t line[24 * 4];
        for (int x = 0; x < 24; x++) {
            uint8_t pixel[4] = {(uint8_t)(x * 10), (uint8_t)(y * 10), 200, (uint8_t)(255 - 2 * x)};
            memcpy(line + 4 * x, pixel, 4);
        }
        JSAMPROW row = line;
        jpeg_write_scanlines(&encoder, &row, 1);
    }
    jpeg_finish_compress(&encoder);
    jpeg_destroy_compress(&encoder);
    return (mcf_bytes){bytes, size, size};
}

static void ycck_equals_cmyk(void **state)
{
    (void)state;
    mcf_bytes cmyk = encode_cmyk(JCS_CMYK), ycck = encode_cmyk(JCS_YCCK), a = {0}, b = {0};
    mcf_decoded first, second;
    assert_int_equal(mcf_image_decode(cmyk.data, cmyk.size, NULL, &a, &first, NULL), MCF_OK);
    assert_int_equal(mcf_image_decode(ycck.data, ycck.size, NULL, &b, &second, NULL), MCF_OK);
    for (int i = 0; i < 24 * 24 * 3; i++) {
        int x = i / 3 % 24, y = i / 72, k = 255 - 2 * x, stored = (int[]){x * 10, y * 10, 200}[i % 3];
        int expected = k - k * (255 - stored) / 255;
        assert_true(abs(first.image.pixels[i] - expected) <= 3);
        assert_true(abs(second.image.pixels[i] - expected) <= 6);
    }
    mcf_bytes_free(&cmyk);
    mcf_bytes_free(&ycck);
    mcf_bytes_free(&a);
    mcf_bytes_free(&b);
}

static void fast_decode_is_never_smaller(void **state)
{
    (void)state;
    mcf_bytes jpeg = {0}, buffer = {0};
    uint8_t *pixels = calloc(203 * 151, 3);
    mcf_image image = {203, 151, 3, 203 * 3, pixels};
    assert_int_equal(mcf_image_encode_jpeg(&image, 80, &jpeg, NULL), MCF_OK);
    const int cases[][2] = {{0, 203}, {151, 203}, {76, 203}, {75, 102}, {38, 102},
                            {37, 51}, {19, 51},   {18, 26},  {1, 26}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mcf_decode_options options = {.min_side = cases[i][0]};
        mcf_decoded decoded;
        assert_int_equal(mcf_image_decode(jpeg.data, jpeg.size, &options, &buffer, &decoded, NULL), MCF_OK);
        assert_int_equal(decoded.image.width, cases[i][1]);
        assert_true(decoded.image.height >= cases[i][0]);
        assert_int_equal(decoded.original_width, 203);
        assert_int_equal(decoded.original_height, 151);
        assert_true(decoded.scaled_width > decoded.image.width - 1 && decoded.scaled_width <= decoded.image.width);
    }
    free(pixels);
    mcf_bytes_free(&jpeg);
    mcf_bytes_free(&buffer);
}

static void encoders_round_trip(void **state)
{
    (void)state;
    ppm picture = read_ppm("resize");
    int count = picture.width * picture.height;
    uint8_t *four = malloc((size_t)count * 4);
    for (int i = 0; i < count; i++)
        memcpy(four + 4 * i, picture.pixels + 3 * i, 3), four[4 * i + 3] = 17;
    mcf_image images[2] = {{picture.width, picture.height, 3, (size_t)picture.width * 3, picture.pixels},
                           {picture.width, picture.height, 4, (size_t)picture.width * 4, four}};
    mcf_bytes file = {0}, buffer = {0};
    mcf_decoded decoded;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(mcf_image_encode_png(&images[k], &file, NULL), MCF_OK);
        assert_int_equal(mcf_image_decode(file.data, file.size, NULL, &buffer, &decoded, NULL), MCF_OK);
        assert_memory_equal(decoded.image.pixels, picture.pixels, (size_t)count * 3);
        assert_int_equal(mcf_image_encode_jpeg(&images[k], 95, &file, NULL), MCF_OK);
        assert_int_equal(mcf_image_decode(file.data, file.size, NULL, &buffer, &decoded, NULL), MCF_OK);
        double sum = 0;
        for (int i = 0; i < count * 3; i++)
            sum += abs(decoded.image.pixels[i] - picture.pixels[i]);
        assert_true(sum / (count * 3) < 4);
    }
    mcf_image nothing = {0, 5, 3, 0, picture.pixels};
    assert_int_equal(mcf_image_encode_png(&nothing, &file, NULL), MCF_ERR_FORMAT);
    mcf_bytes_free(&file);
    mcf_bytes_free(&buffer);
    free(picture.pixels);
    free(four);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_equals_pil),
        cmocka_unit_test(truncation_is_an_error),
        cmocka_unit_test(missing_end_marker_is_fine),
        cmocka_unit_test(no_picture_is_named),
        cmocka_unit_test(huge_pictures_are_refused),
        cmocka_unit_test(ycck_equals_cmyk),
        cmocka_unit_test(fast_decode_is_never_smaller),
        cmocka_unit_test(encoders_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
