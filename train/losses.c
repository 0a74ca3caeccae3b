#include "train/losses.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

mcf_losses mcf_losses_of(const mcf_objective *objective)
{
    mcf_losses losses = {.count = 1 + objective->term_count, .name = {"loss"}, .bad_device = -1};
    for (int i = 0; i < objective->term_count; i++)
        losses.name[1 + i] = objective->term[i].name;
    return losses;
}

void mcf_losses_add(mcf_losses *sum, const mcf_losses *losses, double scale)
{
    for (int i = 0; i < sum->count; i++)
        sum->value[i] += losses->value[i] * scale;
}

const char *mcf_losses_short(const char *name)
{
    return strncmp(name, "loss.", 5) ? name : name + 5;
}

const char *mcf_losses_print(const mcf_losses *losses, char *text, size_t size)
{
    int used = snprintf(text, size, "%g", losses->count ? losses->value[0] : NAN);
    for (int i = 1; i < losses->count && used >= 0 && (size_t)used < size; i++)
        used += snprintf(text + used, size - (size_t)used, "%s%s %g%s", i == 1 ? " (" : ", ",
                         mcf_losses_short(losses->name[i]), losses->value[i], i == losses->count - 1 ? ")" : "");
    return text;
}
