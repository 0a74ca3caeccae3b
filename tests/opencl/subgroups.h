// Sub-groups of four items for devices without them: tests/opencl.sh puts this before device.h, so that the reductions
// over sub-groups run on any device. `room` is the local memory of the reduction that asks.
#define EMULATED_SIZE 4
static float emulated(float x, __local float *room, int maximum)
{
    const int me = (int)get_local_id(0), size = (int)get_local_size(0), first = me / EMULATED_SIZE * EMULATED_SIZE;
    barrier(CLK_LOCAL_MEM_FENCE);
    room[me] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    float all = room[first];
    for (int i = first + 1; i < first + EMULATED_SIZE && i < size; i++)
        all = maximum ? fmax(all, room[i]) : all + room[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    return all;
}
#define sub_group_reduce_add(x) emulated(x, room, 0)
#define sub_group_reduce_max(x) emulated(x, room, 1)
#define get_sub_group_local_id() (get_local_id(0) % EMULATED_SIZE)
#define get_sub_group_id() (get_local_id(0) / EMULATED_SIZE)
#define get_num_sub_groups() ((get_local_size(0) + EMULATED_SIZE - 1) / EMULATED_SIZE)
