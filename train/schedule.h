// The learning rate by fractional epoch; method.md, "Optimisation".
#ifndef MCF_TRAIN_SCHEDULE_H
#define MCF_TRAIN_SCHEDULE_H

// Rises in a line from 0 to `peak` over `warmup_epochs`, falls to `min_rate` by half a cosine at `epochs`.
// epoch: steps done / steps per epoch, so the first step of a warmed-up run has rate 0.
double mcf_schedule_rate(double epoch, double epochs, double warmup_epochs, double peak, double min_rate);
// `peak` times `factor` for each milestone, in epochs, that is reached.
double mcf_schedule_milestones(double epoch, const int *milestones, int count, double peak, double factor);
// MoCo-v3's momentum: rises from `start` to 1 at `epochs` by half a cosine.
double mcf_schedule_momentum(double epoch, double epochs, double start);

#endif
