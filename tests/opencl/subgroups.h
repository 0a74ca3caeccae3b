// Sub-groups of four items for devices without them: tests/backends/opencl.sh puts this before device.h, so that the reductions
// over sub-groups run on any device. `room` is the local memory of the reduction that asks; groups are multiples of four.
// Written without a loop, which PoCL 3.1 gets wrong now and then when two of its threads run groups at once (Oclgrind
// finds no race in either form).
#define EMULATED_SIZE 4
static float emulated(float x, __local float *room, int maximum)
{
    const int me = (int)get_local_id(0), first = me / EMULATED_SIZE * EMULATED_SIZE;
    barrier(CLK_LOCAL_MEM_FENCE);
    room[me] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    const float a = room[first], b = room[first + 1], c = room[first + 2], d = room[first + 3];
    barrier(CLK_LOCAL_MEM_FENCE);
    return maximum ? fmax(fmax(a, b), fmax(c, d)) : a + b + (c + d);
}
#define sub_group_reduce_add(x) emulated(x, room, 0)
#define sub_group_reduce_max(x) emulated(x, room, 1)
#define get_sub_group_local_id() (get_local_id(0) % EMULATED_SIZE)
#define get_sub_group_id() (get_local_id(0) / EMULATED_SIZE)
#define get_num_sub_groups() (GROUP / EMULATED_SIZE)
