#include "train/schedule.h"

#include <math.h>

double mcf_schedule_rate(double epoch, double epochs, double warmup_epochs, double peak, double min_rate)
{
    if (epoch < warmup_epochs)
        return peak * epoch / warmup_epochs;
    if (epoch >= epochs)
        return min_rate;
    double part = (epoch - warmup_epochs) / (epochs - warmup_epochs);
    return min_rate + (peak - min_rate) * 0.5 * (1 + cos(M_PI * part));
}

double mcf_schedule_milestones(double epoch, const int *milestones, int count, double peak, double factor)
{
    for (int i = 0; i < count && epoch >= milestones[i]; i++)
        peak *= factor;
    return peak;
}

double mcf_schedule_momentum(double epoch, double epochs, double start)
{
    return 1 - 0.5 * (1 + cos(M_PI * epoch / epochs)) * (1 - start);
}
