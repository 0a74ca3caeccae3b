// EXIF orientation, transparency, animations and WebP: the same pixels as Pillow, and reasons for what is refused.
#include "tests/data/helpers.h"

#include "data/image/exif.h"

static bool has_webp(void)
{
    mcf_bytes bytes = read_fixture("../upright/alpha.webp"), buffer = {0};
    mcf_decoded decoded;
    mcf_status status = mcf_image_decode(bytes.data, bytes.size, NULL, &buffer, &decoded, NULL);
    const bool unsupported = status != MCF_OK && decoded.refusal == MCF_IMAGE_UNSUPPORTED;
    mcf_bytes_free(&bytes);
    mcf_bytes_free(&buffer);
    return !unsupported;
}

static void expect_ppm(const char *name, int orientation, int tolerance)
{
    char path[256];
    snprintf(path, sizeof path, "../upright/%s", name);
    mcf_bytes bytes = read_fixture(path), buffer = {0};
    ppm expected = read_ppm(path);
    for (int channels = 3; channels <= 4; channels++) {
        const mcf_decode_options options = {.channels = channels, .upright = true, .over_white = true};
        mcf_decoded decoded;
        mcf_error err = {0};
        if (mcf_image_decode(bytes.data, bytes.size, &options, &buffer, &decoded, &err) != MCF_OK)
            fail_msg("%s: %s", name, err.message);
        assert_int_equal(decoded.refusal, MCF_IMAGE_ACCEPTED);
        assert_int_equal(decoded.orientation, orientation);
        assert_int_equal(decoded.image.width, expected.width);
        assert_int_equal(decoded.image.height, expected.height);
        assert_int_equal(decoded.original_width, expected.width);
        assert_int_equal(decoded.original_height, expected.height);
        for (int i = 0; i < expected.width * expected.height * 3; i++) {
            const int got = decoded.image.pixels[i / 3 * channels + i % 3];
            if (abs(got - expected.pixels[i]) > tolerance)
                fail_msg("%s, %d channels: %d is not %d at pixel %d", name, channels, got, expected.pixels[i], i / 3);
        }
    }
    mcf_bytes_free(&bytes);
    mcf_bytes_free(&buffer);
    free(expected.pixels);
}

static void orientations_equal_pillow(void **state)
{
    (void)state;
    for (int value = 0; value <= 9; value++) {
        char name[32];
        snprintf(name, sizeof name, "exif%d.jpg", value);
        expect_ppm(name, value >= 1 && value <= 8 ? value : 1, 1);
    }
    expect_ppm("exif3.png", 3, 0);
    expect_ppm("exif6.png", 6, 0);
}

static void transparency_shows_white(void **state)
{
    (void)state;
    expect_ppm("alpha.png", 1, 0);
    expect_ppm("grey_alpha.png", 1, 0);
    expect_ppm("palette_trns.png", 1, 0);
    expect_ppm("grey_trns.png", 1, 0);
}

static void animations_give_their_first_frame(void **state)
{
    (void)state;
    expect_ppm("frames.png", 1, 0);
}

static void webp_equals_pillow(void **state)
{
    (void)state;
    if (!has_webp())
        skip();
    expect_ppm("exif3.webp", 3, 0);
    expect_ppm("exif6.webp", 6, 0);
    expect_ppm("alpha.webp", 1, 0);
    expect_ppm("frames.webp", 1, 0);
    expect_ppm("lossy.webp", 1, 0);
}

static void expect_refusal(const void *bytes, size_t size, mcf_image_refusal refusal)
{
    mcf_bytes buffer = {0};
    mcf_decoded decoded;
    mcf_error err = {0};
    assert_int_not_equal(mcf_image_decode(bytes, size, NULL, &buffer, &decoded, &err), MCF_OK);
    assert_string_equal(mcf_image_refusal_names[decoded.refusal], mcf_image_refusal_names[refusal]);
    assert_true(err.message[0]);
    mcf_bytes_free(&buffer);
}

static void refusals_have_reasons(void **state)
{
    (void)state;
    expect_refusal("", 0, MCF_IMAGE_EMPTY);
    expect_refusal("<html>not found</html>", 22, MCF_IMAGE_NO_IMAGE);
    expect_refusal("GIF89a\1\0\1\0\0\0\0\0", 14, MCF_IMAGE_UNSUPPORTED);
    static const char *const names[] = {"exif1.jpg", "alpha.png", "lossy.webp", "alpha.webp"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        if (strstr(names[n], "webp") && !has_webp())
            continue;
        char path[256];
        snprintf(path, sizeof path, "../upright/%s", names[n]);
        mcf_bytes bytes = read_fixture(path);
        expect_refusal(bytes.data, bytes.size / 2, MCF_IMAGE_TRUNCATED);
        mcf_bytes_free(&bytes);
    }
    // 65,000 x 65,000: refused by the header, before memory is taken
    mcf_bytes png = read_fixture("../upright/alpha.png");
    static const uint8_t huge[] = {0, 0, 0xfd, 0xe8, 0, 0, 0xfd, 0xe8};
    memcpy(png.data + 16, huge, sizeof huge);
    mcf_bytes buffer = {0};
    mcf_decoded decoded;
    assert_int_not_equal(mcf_image_decode(png.data, png.size, NULL, &buffer, &decoded, NULL), MCF_OK);
    assert_null(buffer.data);
    mcf_bytes_free(&png);
}

static void damaged_exif_is_upright(void **state)
{
    (void)state;
    assert_int_equal(mcf_exif_orientation((const uint8_t *)"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22), 6);
    assert_int_equal(mcf_exif_orientation((const uint8_t *)"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0", 21), 1);
    assert_int_equal(mcf_exif_orientation((const uint8_t *)"II*\0\xff\xff\xff\xff", 8), 1);
    assert_int_equal(mcf_exif_orientation((const uint8_t *)"", 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orientations_equal_pillow),
        cmocka_unit_test(transparency_shows_white),
        cmocka_unit_test(animations_give_their_first_frame),
        cmocka_unit_test(webp_equals_pillow),
        cmocka_unit_test(refusals_have_reasons),
        cmocka_unit_test(damaged_exif_is_upright),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
