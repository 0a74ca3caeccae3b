// A clock for durations.
#ifndef MCF_BASE_CLOCK_H
#define MCF_BASE_CLOCK_H

// Seconds of a clock that only goes forward.
double mcf_now(void);

#endif
