// How a sum over cards goes, for the machines there are: DGX-1 with 8 V100s and parts of it, cards that all see each
// other, rings, pairs, and none.
#include "backends/cuda/topology.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int numbers[CUDA_MEMBERS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static cuda_topology topology_of(int count, const int *devices, bool (*sees)(int a, int b, int n), int n,
                                 cuda_link link)
{
    cuda_topology t = {.count = count};
    for (int a = 0; a < count; a++)
        for (int b = 0; b < count; b++)
            t.link[a][b] = a == b ? CUDA_LINK_SELF : sees(devices[a], devices[b], n) ? link : CUDA_LINK_HOST;
    return t;
}

static bool in_cube(int a, int b, int n)
{
    return a / 4 == b / 4 || a % 4 == b % 4;
}
static bool in_ring(int a, int b, int n)
{
    return (a + 1) % n == b || (b + 1) % n == a;
}
static bool in_pair(int a, int b, int n)
{
    return a / 2 == b / 2;
}
static bool always(int a, int b, int n)
{
    return true;
}
static bool never(int a, int b, int n)
{
    return false;
}

// Every member once, and every link that the plan uses is one.
static void check_plan(const cuda_topology *t, const cuda_plan *p, bool may_be_staged)
{
    bool seen[CUDA_MEMBERS] = {false};
    assert_int_equal(p->count, t->count);
    assert_int_equal(p->islands * p->size, p->count);
    for (int i = 0; i < p->count; i++) {
        assert_false(seen[p->order[i]]);
        seen[p->order[i]] = true;
    }
    for (int a = 0; a < p->count; a++)
        for (int b = 0; b < a; b++) {
            const int link = t->link[p->order[a]][p->order[b]];
            if (p->chain ? b == a - 1 : a / p->size == b / p->size)
                assert_true(link > CUDA_LINK_HOST);
            if (!p->chain && a % p->size == b % p->size && !may_be_staged)
                assert_true(link > CUDA_LINK_HOST);
        }
}

static cuda_plan plan_for(int count, const int *devices, bool (*sees)(int, int, int), int n, cuda_link link)
{
    const cuda_topology t = topology_of(count, devices, sees, n, link);
    cuda_plan p;
    cuda_plan_make(&t, &p);
    check_plan(&t, &p, sees == in_pair || sees == never);
    return p;
}

static void the_cube_mesh_is_two_islands_of_four(void **state)
{
    cuda_plan p = plan_for(8, numbers, in_cube, 8, CUDA_LINK_NVLINK);
    assert_true(!p.chain && p.islands == 2 && p.size == 4 && p.slowest == CUDA_LINK_NVLINK);
    assert_true(cuda_plan_volume(&p) == 0.5 && cuda_plan_time(&p) == 0.75);
    char text[200];
    cuda_plan_describe(&p, numbers, text, sizeof text);
    assert_string_equal(
        text,
        "2 islands of 4 0,1,2,3 | 4,5,6,7 by NVLink; of N bytes a link carries 0.5 N each way in the time of 0.75 N");
    // Whatever the order in which the cards are named.
    const int mixed[] = {6, 0, 3, 5, 4, 1, 7, 2};
    p = plan_for(8, mixed, in_cube, 8, CUDA_LINK_NVLINK);
    assert_true(!p.chain && p.islands == 2 && p.size == 4);
    // PCIe between the others changes nothing.
    cuda_topology t = topology_of(8, numbers, in_cube, 8, CUDA_LINK_NVLINK);
    for (int a = 0; a < 8; a++)
        for (int b = 0; b < 8; b++)
            t.link[a][b] = t.link[a][b] == CUDA_LINK_HOST ? CUDA_LINK_PCIE : t.link[a][b];
    cuda_plan_make(&t, &p);
    assert_true(p.islands == 2 && p.size == 4 && p.slowest == CUDA_LINK_NVLINK);
}

static void every_part_of_the_cube_mesh_stays_on_nvlink(void **state)
{
    for (unsigned set = 1; set < 256; set++) {
        int devices[8], count = 0;
        bool reached[8] = {false};
        for (int i = 0; i < 8; i++)
            if (set >> i & 1)
                devices[count++] = i;
        // Opposite corners alone do not see each other.
        reached[0] = true;
        for (int round = 0; round < 8; round++)
            for (int a = 0; a < count; a++)
                for (int b = 0; b < count; b++)
                    reached[b] |= reached[a] && in_cube(devices[a], devices[b], 8);
        bool together = true;
        for (int i = 0; i < count; i++)
            together &= reached[i];
        const cuda_topology t = topology_of(count, devices, in_cube, 8, CUDA_LINK_NVLINK);
        cuda_plan p;
        cuda_plan_make(&t, &p);
        check_plan(&t, &p, p.slowest == CUDA_LINK_HOST);
        // A star of the cube has no chain through all: its middle would be passed twice.
        if (together && count > 2 && p.slowest == CUDA_LINK_HOST)
            assert_true(count <= 6);
        if (together && count == 2)
            assert_int_equal(p.slowest, CUDA_LINK_NVLINK);
    }
}

static void rings_are_chains(void **state)
{
    for (int n = 1; n <= CUDA_MEMBERS; n++) {
        cuda_plan p = plan_for(n, numbers, in_ring, n, CUDA_LINK_NVLINK);
        assert_int_equal(p.chain, n > 3);
        assert_true(n == 1 || p.slowest == CUDA_LINK_NVLINK);
    }
    // Part of a ring, named out of order.
    const int part[] = {5, 2, 4, 3};
    cuda_plan p = plan_for(4, part, in_ring, 8, CUDA_LINK_NVLINK);
    const int expected[] = {0, 2, 3, 1};
    assert_true(p.chain);
    assert_memory_equal(p.order, expected, sizeof expected);
}

static void all_at_once_where_all_see_each_other(void **state)
{
    for (int n = 2; n <= CUDA_MEMBERS; n++)
        for (int link = CUDA_LINK_PCIE; link <= CUDA_LINK_NVLINK; link++) {
            cuda_plan p = plan_for(n, numbers, always, n, (cuda_link)link);
            assert_true(!p.chain && p.islands == 1 && p.slowest == (cuda_link)link);
            assert_true(fabs(cuda_plan_time(&p) - 2.0 / n) < 1e-12);
        }
}

static void pairs_sum_before_they_use_the_host(void **state)
{
    for (int n = 4; n <= CUDA_MEMBERS; n += 2) {
        cuda_plan p = plan_for(n, numbers, in_pair, n, CUDA_LINK_PCIE);
        assert_true(!p.chain && p.size == 2 && p.islands == n / 2 && p.slowest == CUDA_LINK_HOST);
    }
    cuda_plan odd = plan_for(5, numbers, in_pair, 5, CUDA_LINK_PCIE);
    assert_true(!odd.chain && odd.size == 1);
    cuda_plan none = plan_for(8, numbers, never, 8, CUDA_LINK_PCIE);
    assert_true(!none.chain && none.size == 1 && none.islands == 8 && none.slowest == CUDA_LINK_HOST);
    char text[200];
    cuda_plan_describe(&none, numbers, text, sizeof text);
    assert_non_null(strstr(text, "through the host"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cube_mesh_is_two_islands_of_four),
        cmocka_unit_test(every_part_of_the_cube_mesh_stays_on_nvlink),
        cmocka_unit_test(rings_are_chains),
        cmocka_unit_test(all_at_once_where_all_see_each_other),
        cmocka_unit_test(pairs_sum_before_they_use_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
