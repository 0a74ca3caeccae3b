// Sections with pictures: reconstructions, attention, features, retrieval.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/internal.h"
#include "data/samples.h"

enum { STRIP_FILE_MOST = 16 << 20, STEPS_SHOWN = 8, PHOTO = 88, PHOTO_QUALITY = 90, HEADS_SHOWN = 16, MAP_SIDE = 96 };

// --- reconstructions

// A strip of RUN/pictures: images of a square each, side by side.
static mcf_status read_strip(const mcf_report_run *run, const char *name, mcf_bytes *buffer, mcf_decoded *strip,
                             mcf_error *err)
{
    char *folder = mcf_path_join(run->path, "pictures"), *path = folder ? mcf_path_join(folder, name) : NULL;
    char *file = NULL;
    size_t size;
    const mcf_decode_options options = {.channels = 3};
    mcf_status status = path ? mcf_file_read(path, STRIP_FILE_MOST, &file, &size, err)
                             : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    if (status == MCF_OK) {
        status = mcf_image_decode((const uint8_t *)file, size, &options, buffer, strip, err);
        if (status != MCF_OK)
            mcf_add_context(err, status, "%s", path);
    }
    free(file);
    free(path);
    free(folder);
    return status;
}

static void strip_row(mcf_report_page *page, const mcf_report_run *run, const char *file, const char *label,
                      const char *class)
{
    mcf_html *h = &page->html;
    mcf_bytes buffer = {0};
    mcf_decoded strip;
    mcf_error err = {0};
    mcf_html_format(h, "<tr%s><th scope=\"row\">%s</th>", class, label);
    mcf_status status = read_strip(run, file, &buffer, &strip, &err);
    const int side = status == MCF_OK ? strip.image.height : 0, count = side ? strip.image.width / side : 0;
    uint8_t *square = status == MCF_OK ? malloc((size_t)side * side * 3) : NULL;
    for (int i = 0; i < count && i < 16 && square && status == MCF_OK; i++) {
        for (int y = 0; y < side; y++)
            memcpy(square + (size_t)y * side * 3,
                   strip.image.pixels + (size_t)y * strip.image.stride + (size_t)i * side * 3, (size_t)side * 3);
        mcf_html_add(h, "<td>");
        status = mcf_html_picture(h, square, side, side, PHOTO_QUALITY, label, "", &err);
        mcf_html_add(h, "</td>");
    }
    if (status != MCF_OK)
        mcf_html_text_format(h, "%s", err.message);
    mcf_html_add(h, "</tr>");
    free(square);
    mcf_bytes_free(&buffer);
}

static bool without_decoder(const mcf_report_run *run)
{
    const mcf_objective_options *o = &run->config.objective;
    return run->has_config && (o->method == MCF_METHOD_MOCO_V3 || (o->feature_weight <= 0 && o->pixel_weight <= 0));
}

static const char *why_no_pictures(const mcf_report_run *run)
{
    if (!run->has_config)
        return "The config is needed to know what was trained.";
    return "RUN/pictures holds none; a run makes them from its first step on. "
           "`mcf reconstruct` draws them from a checkpoint.";
}

// Why pseudo images look as they do without the pixel term.
static void features_note(mcf_html *h, const mcf_model_options *m)
{
    const int values = m->patch_size * m->patch_size * 3;
    mcf_html_add(h,
                 "<p class=\"note\">Trained on features, not on pixels: M<sub>1</sub> must find the same in the pseudo "
                 "image as in the original, so its colours need not be the true ones.");
    if (m->teacher.dim < values)
        mcf_html_format(h,
                        " This M<sub>1</sub> reads the %d values of a patch through %d numbers: what lies outside them "
                        "costs nothing and stays noise. How far it comes is told by the feature term above.",
                        values, m->teacher.dim);
    mcf_html_add(h, "</p>");
}

void mcf_report_reconstructions(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    mcf_html_add(h, "<h2 id=\"reconstructions\">Reconstructions over time</h2><p class=\"lead\">The encoder sees the "
                    "patches that are not grey; the decoder paints all of them. Drawn at checkpoints while training, "
                    "always the same images and masks.</p>");
    for (int r = 0; r < page->count; r++) {
        const mcf_report_run *run = &page->runs[r];
        if (mcf_report_is_dense(run))
            continue;
        mcf_report_run_heading(page, run);
        if (run->picture_count == 0 && without_decoder(run)) {
            mcf_html_add(h, "<p class=\"note\">This network has no decoder: it was trained on contrast alone, so there "
                            "is nothing to reconstruct.</p>");
            continue;
        }
        if (run->picture_count == 0) {
            mcf_report_missing(page, "No reconstructions.", why_no_pictures(run));
            continue;
        }
        if (run->has_config && run->config.objective.pixel_weight <= 0)
            features_note(h, &run->config.model);
        mcf_html_add(h, "<div class=\"scroll\"><table class=\"pics over\">");
        strip_row(page, run, "original.jpg", "original", "");
        strip_row(page, run, "masked.jpg", "masked input", " class=\"gap\"");
        const size_t shown = run->picture_count < STEPS_SHOWN ? run->picture_count : STEPS_SHOWN;
        for (size_t i = 0; i < shown; i++) {
            const int64_t step = run->pictures[shown > 1 ? i * (run->picture_count - 1) / (shown - 1) : 0];
            char file[40], label[64];
            snprintf(file, sizeof file, "step-%08" PRId64 ".jpg", step);
            snprintf(label, sizeof label, step ? "step %" PRId64 : "untrained", step);
            strip_row(page, run, file, label, "");
        }
        mcf_html_add(h, "</table></div>");
    }
}

// --- attention and features

// Viridis (van der Walt and Smith 2015) by nine of its colours: even steps of lightness for every reader.
static void viridis(double share, uint8_t rgb[3])
{
    static const uint8_t map[9][3] = {{68, 1, 84},    {71, 44, 122}, {59, 81, 139},  {44, 113, 142}, {33, 144, 141},
                                      {39, 173, 129}, {92, 200, 99}, {170, 220, 50}, {253, 231, 37}};
    const double at = fmax(0, fmin(1, share)) * 8;
    const int i = at < 8 ? (int)at : 7;
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(map[i][c] + (map[i + 1][c] - map[i][c]) * (at - i) + 0.5);
}

static mcf_status attention_map(mcf_html *h, const float *shares, int grid, const char *alt, mcf_error *err)
{
    const int patches = grid * grid;
    float low = shares[0], high = shares[0];
    uint8_t *cells = malloc((size_t)patches * 3);
    if (!cells)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a map");
    for (int p = 0; p < patches; p++) {
        low = fminf(low, shares[p]);
        high = fmaxf(high, shares[p]);
    }
    for (int p = 0; p < patches; p++)
        viridis(high > low ? (shares[p] - low) / (high - low) : 0, cells + 3 * p);
    mcf_status status = mcf_html_picture(h, cells, grid, grid, 0, alt, "class=\"cells\"", err);
    free(cells);
    return status;
}

// The picture, dark where the mean attention is low; the map is interpolated between the patches' centres.
static mcf_status overlay(mcf_html *h, const uint8_t *photo, int side, const float *mean, int grid, mcf_error *err)
{
    uint8_t *out = malloc((size_t)side * side * 3);
    float high = 0;
    if (!out)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a map");
    for (int p = 0; p < grid * grid; p++)
        high = fmaxf(high, mean[p]);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            const double v = fmax(0, fmin(grid - 1, (y + 0.5) * grid / side - 0.5)),
                         u = fmax(0, fmin(grid - 1, (x + 0.5) * grid / side - 0.5));
            const int j = (int)v < grid - 1 ? (int)v : grid - 2, i = (int)u < grid - 1 ? (int)u : grid - 2;
            const float *m = mean + j * grid + i;
            const double share = (m[0] * (1 - (u - i)) + m[1] * (u - i)) * (1 - (v - j)) +
                                 (m[grid] * (1 - (u - i)) + m[grid + 1] * (u - i)) * (v - j);
            const double light = 0.12 + 0.88 * (high > 0 ? share / high : 0);
            for (int c = 0; c < 3; c++)
                out[(y * side + x) * 3 + c] = (uint8_t)(photo[(y * side + x) * 3 + c] * light + 0.5);
        }
    mcf_status status = mcf_html_picture(h, out, side, side, PHOTO_QUALITY,
                                         "the image, bright where the mean over "
                                         "heads is high",
                                         "", err);
    free(out);
    return status;
}

static void images_note(mcf_report_page *page, const mcf_report_run *run)
{
    mcf_html_add(&page->html, "<p class=\"note\">Checkpoint of step ");
    mcf_html_format(&page->html, "%lld; images of ", (long long)run->checkpoint_step);
    mcf_html_text(&page->html, run->source_names);
    mcf_html_add(&page->html, run->from_training ? ": the run's own training images" : "");
    mcf_html_add(&page->html, ".</p>");
}

// The images, MAP_SIDE a side; NULL without memory.
static uint8_t *photos_of(const mcf_report_run *run)
{
    const int n = run->look.images;
    uint8_t *photos = malloc((size_t)n * MAP_SIDE * MAP_SIDE * 3);
    if (photos && mcf_samples_resize(run->look_images, n, run->config.model.image_size, photos, MAP_SIDE, NULL)) {
        free(photos);
        return NULL;
    }
    return photos;
}

static mcf_status attention_row(mcf_html *h, const mcf_look *look, const uint8_t *photo, int image, int heads,
                                mcf_error *err)
{
    const int patches = look->grid * look->grid;
    const float *shares = look->attention + (size_t)image * look->heads * patches;
    float *mean = calloc((size_t)patches, sizeof *mean);
    if (!mean)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a map");
    for (int k = 0; k < look->heads * patches; k++)
        mean[k % patches] += shares[k] / (float)look->heads;
    mcf_html_add(h, "<tr><td>");
    mcf_status status = mcf_html_picture(h, photo, MAP_SIDE, MAP_SIDE, PHOTO_QUALITY, "image", "", err);
    mcf_html_add(h, "</td><td>");
    if (status == MCF_OK)
        status = overlay(h, photo, MAP_SIDE, mean, look->grid, err);
    mcf_html_add(h, "</td><td>");
    if (status == MCF_OK)
        status = attention_map(h, mean, look->grid, "mean over heads", err);
    for (int k = 0; k < heads && status == MCF_OK; k++) {
        char alt[64];
        snprintf(alt, sizeof alt, "head %d", k + 1);
        mcf_html_add(h, "</td><td>");
        status = attention_map(h, shares + (size_t)k * patches, look->grid, alt, err);
    }
    mcf_html_add(h, "</td></tr>");
    free(mean);
    return status;
}

void mcf_report_attention(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    mcf_html_add(h,
                 "<h2 id=\"attention\">Where the class token looks</h2><p class=\"lead\">Attention of the class token "
                 "to the patches in the last block, without masks: the mean over heads, and every head. Each map runs "
                 "from its lowest share (dark) to its highest (bright).</p>");
    for (int r = 0; r < page->count; r++) {
        const mcf_report_run *run = &page->runs[r];
        mcf_error err = {0};
        if (mcf_report_is_dense(run))
            continue;
        mcf_report_run_heading(page, run);
        if (!run->looked) {
            mcf_report_missing(page, "No attention maps.", run->look_error);
            continue;
        }
        const int heads = run->look.heads < HEADS_SHOWN ? run->look.heads : HEADS_SHOWN;
        images_note(page, run);
        mcf_html_add(
            h, "<div class=\"scroll\"><table class=\"pics\"><thead><tr><th>image</th><th colspan=\"2\">mean</th>");
        for (int k = 0; k < heads; k++)
            mcf_html_format(h, "<th>head %d</th>", k + 1);
        mcf_html_add(h, "</tr></thead>");
        uint8_t *photos = photos_of(run);
        mcf_status status = photos ? MCF_OK : mcf_fail(&err, MCF_ERR_NOMEM, "no memory for pictures");
        for (int i = 0; i < run->look.images && status == MCF_OK; i++)
            status = attention_row(h, &run->look, photos + (size_t)i * MAP_SIDE * MAP_SIDE * 3, i, heads, &err);
        mcf_html_add(h, "</table></div>");
        free(photos);
        if (status != MCF_OK)
            mcf_report_missing(page, "Attention maps are missing.", err.message);
        double kept = 0;
        for (int k = 0; k < run->look.images * run->look.heads; k++)
            kept += run->look.cls_share[k] / (run->look.images * run->look.heads);
        mcf_html_format(h,
                        "<p class=\"note\">The class token keeps %.1f %% of its attention for itself (mean over heads "
                        "and images); the maps show the rest.</p>",
                        100 * kept);
    }
}

void mcf_report_features(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    mcf_html_add(h,
                 "<h2 id=\"features\">What the patch tokens tell apart</h2><p class=\"lead\">The first three principal "
                 "components of the patch tokens after the final norm, over all these images together, as red, green "
                 "and blue: parts of one colour look alike to the network.</p>");
    for (int r = 0; r < page->count; r++) {
        const mcf_report_run *run = &page->runs[r];
        const mcf_look *look = &run->look;
        mcf_error err = {0};
        if (mcf_report_is_dense(run))
            continue;
        mcf_report_run_heading(page, run);
        if (!run->looked) {
            mcf_report_missing(page, "No feature maps.", run->look_error);
            continue;
        }
        images_note(page, run);
        mcf_html_add(h, "<div class=\"scroll\"><table class=\"pics six\"><tr>");
        uint8_t *photos = photos_of(run);
        mcf_status status = photos ? MCF_OK : mcf_fail(&err, MCF_ERR_NOMEM, "no memory for pictures");
        for (int i = 0; i < look->images && status == MCF_OK; i++) {
            mcf_html_add(h, "<td>");
            status = mcf_html_picture(h, photos + (size_t)i * MAP_SIDE * MAP_SIDE * 3, MAP_SIDE, MAP_SIDE,
                                      PHOTO_QUALITY, "image", "", &err);
            mcf_html_add(h, "</td>");
        }
        mcf_html_add(h, "</tr><tr>");
        for (int i = 0; i < look->images && status == MCF_OK; i++) {
            mcf_html_add(h, "<td>");
            status = mcf_html_picture(h, look->features + (size_t)i * look->grid * look->grid * 3, look->grid,
                                      look->grid, 0, "principal components", "class=\"cells\"", &err);
            mcf_html_add(h, "</td>");
        }
        mcf_html_add(h, "</tr></table></div>");
        free(photos);
        if (status != MCF_OK)
            mcf_report_missing(page, "Feature maps are missing.", err.message);
        mcf_html_format(h, "<p class=\"note\">They hold %.1f %%, %.1f %% and %.1f %% of the variance.</p>",
                        100 * look->explained[0], 100 * look->explained[1], 100 * look->explained[2]);
    }
}

// --- retrieval

// most: what the longest bar stands for
static void share_cell(mcf_html *h, double share, double most, int run)
{
    mcf_html_format(h,
                    "<td class=\"n\">%.1f %%</td><td><span class=\"bar run-%d\" style=\"width:%.0fpx;"
                    "background:currentColor\"></span></td>",
                    100 * share, run, most > 0 ? 120 * share / most : 0);
}

static void scores_table(mcf_report_page *page, const mcf_report_run *run)
{
    mcf_html *h = &page->html;
    const double most =
        fmax(fmax(run->found.rank1, run->found.map), fmax(run->found_untrained.rank1, run->found_untrained.map));
    mcf_html_add(h,
                 "<div class=\"scroll\"><table><thead><tr><th></th><th colspan=\"2\">rank 1</th><th colspan=\"2\">mAP"
                 "</th></tr></thead><tr><th>this run</th>");
    share_cell(h, run->found.rank1, most, run->index);
    share_cell(h, run->found.map, most, run->index);
    mcf_html_add(h, "</tr><tr><th>the same network untrained</th>");
    share_cell(h, run->found_untrained.rank1, most, run->index);
    share_cell(h, run->found_untrained.map, most, run->index);
    mcf_html_add(h, "</tr></table></div><p class=\"note\">");
    mcf_html_format(h, "%lld queries among %lld images of %lld people", (long long)run->found.queries,
                    (long long)run->search_images, (long long)run->found.people);
    if (run->search_images + run->search_broken < run->search_total)
        mcf_html_format(h, ", the first of %lld", (long long)run->search_total);
    mcf_html_add(h, " from ");
    mcf_html_text(h, run->source_names);
    if (run->from_training)
        mcf_html_add(h, ", <b>which are the run's own training images</b>");
    if (run->search_broken)
        mcf_html_format(h, "; %lld images could not be read", (long long)run->search_broken);
    if (run->search_unsupported)
        mcf_html_format(h, " (%lld of a kind that is not read)", (long long)run->search_unsupported);
    mcf_html_add(h, ". The paper gives no figures for retrieval.</p>");
}

static mcf_status thumb(mcf_html *h, const mcf_report_run *run, int64_t image, const char *alt, mcf_error *err)
{
    return mcf_html_picture(h, run->search_thumb + (size_t)image * MCF_REPORT_THUMB * MCF_REPORT_THUMB * 3,
                            MCF_REPORT_THUMB, MCF_REPORT_THUMB, PHOTO_QUALITY, alt, "", err);
}

static void examples(mcf_report_page *page, const mcf_report_run *run)
{
    mcf_html *h = &page->html;
    mcf_error err = {0};
    mcf_status status = MCF_OK;
    mcf_html_add(h, "<div class=\"scroll\"><table class=\"pics six find\"><thead><tr><th>query</th>"
                    "<th colspan=\"5\">nearest others, by cosine of the class tokens</th></tr></thead>");
    for (int q = 0; q < run->query_count; q++) {
        const mcf_report_query *query = &run->queries[q];
        mcf_html_add(h, "<tr><td>");
        status = thumb(h, run, query->query, "query", &err);
        mcf_html_add(h, "</td>");
        for (int k = 0; k < query->found && status == MCF_OK; k++) {
            const bool same = run->search_label[query->nearest[k]] == run->search_label[query->query];
            mcf_html_format(h, "<td class=\"%s\">", same ? "same" : "other");
            status = thumb(h, run, query->nearest[k], same ? "the same person" : "another person", &err);
            mcf_html_format(h, "<b>%s</b> %.3f</td>", same ? "&#10003;" : "&#10007;", query->similarity[k]);
        }
        mcf_html_add(h, "</tr>");
    }
    mcf_html_add(h, "</table></div>");
    if (status != MCF_OK)
        mcf_report_missing(page, "Examples are missing.", err.message);
}

void mcf_report_retrieval(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    mcf_html_add(
        h, "<h2 id=\"retrieval\">Finding the same person</h2><p class=\"lead\">Every image asks for the others of "
           "its person (the folder it lies in) by its class token. Rank 1: share of images whose nearest other is "
           "the same person; mAP: mean average precision. The examples are chosen evenly, not by how well they "
           "go: &#10003; the same person, &#10007; another one.</p>");
    for (int r = 0; r < page->count; r++) {
        const mcf_report_run *run = &page->runs[r];
        if (mcf_report_is_dense(run))
            continue;
        mcf_report_run_heading(page, run);
        if (!run->searched) {
            mcf_report_missing(page, "No search.", run->search_error);
            continue;
        }
        scores_table(page, run);
        examples(page, run);
    }
}
