// Walks over the operands of a row of ops.def.
//
// MCF_EACH(M, context, (operands)) is M(context, name, type, mark) for each operand, one behind the other; `mark` is NONE
// where the table gives none. Seven operands at most: more need another line here.
#ifndef MCF_OPS_EACH_H
#define MCF_OPS_EACH_H

#define MCF_EACH(M, c, list) MCF_EACH_COUNTED(MCF_EACH_COUNT list, M, c, list)
#define MCF_EACH_COUNTED(count, M, c, list) MCF_EACH_PASTED(count, M, c, list)
#define MCF_EACH_PASTED(count, M, c, list) MCF_EACH_CALL(MCF_EACH_##count, M, c, MCF_EACH_OPEN list)
#define MCF_EACH_CALL(macro, ...) macro(__VA_ARGS__)
#define MCF_EACH_OPEN(...) __VA_ARGS__

#define MCF_EACH_COUNT(...) MCF_EACH_NINTH(0, ##__VA_ARGS__, 7, 6, 5, 4, 3, 2, 1, 0, 0)
#define MCF_EACH_NINTH(a, b, c, d, e, f, g, h, ninth, ...) ninth

// (name, type) or (name, type, mark)
#define MCF_EACH_ONE(M, c, operand) MCF_EACH_OPERAND(M, c, MCF_EACH_OPEN_ONE operand, NONE, )
#define MCF_EACH_OPERAND(...) MCF_EACH_FIRST_THREE(__VA_ARGS__)
#define MCF_EACH_OPEN_ONE(...) __VA_ARGS__
#define MCF_EACH_FIRST_THREE(M, c, name, type, mark, ...) M(c, name, type, mark)

#define MCF_EACH_0(M, c, ...)
#define MCF_EACH_1(M, c, o) MCF_EACH_ONE(M, c, o)
#define MCF_EACH_2(M, c, o, ...) MCF_EACH_ONE(M, c, o) MCF_EACH_1(M, c, __VA_ARGS__)
#define MCF_EACH_3(M, c, o, ...) MCF_EACH_ONE(M, c, o) MCF_EACH_2(M, c, __VA_ARGS__)
#define MCF_EACH_4(M, c, o, ...) MCF_EACH_ONE(M, c, o) MCF_EACH_3(M, c, __VA_ARGS__)
#define MCF_EACH_5(M, c, o, ...) MCF_EACH_ONE(M, c, o) MCF_EACH_4(M, c, __VA_ARGS__)
#define MCF_EACH_6(M, c, o, ...) MCF_EACH_ONE(M, c, o) MCF_EACH_5(M, c, __VA_ARGS__)
#define MCF_EACH_7(M, c, o, ...) MCF_EACH_ONE(M, c, o) MCF_EACH_6(M, c, __VA_ARGS__)

#endif
