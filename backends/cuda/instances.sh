#!/bin/sh
# Writes the kernel files of the CUDA build: every kernel of backends/kernels for the combinations of element types that
# cuda_supports (call.c) lets through. A kernel file is included once for each combination, inside a namespace of its
# own, and a table at the end names what came out. A shell script, since ci/gpu-check builds without CMake.
#
# usage: sh backends/cuda/instances.sh FOLDER     prints the files, a line each; those that are right stay untouched
set -eu
folder=$1
mkdir -p "$folder"
fresh=$(mktemp -d "$folder/fresh.XXXXXX")
trap 'rm -rf "$fresh"' EXIT

# unit; file; definition; group; slots of float types (0 T0, 1 T1, 2 T2, O TO); kernels. Beside floats, `move` has all
# types to themselves.
awk -F '|' -v folder="$fresh" '
# All combinations of f32 with one 16-bit type in the slots, as "t0.t1.t2.to" with - for slots that are free.
function combine(slots, list,    half, halves, h, slot, n, m, i, c, part, next_part, choices, counted, seen, j) {
    if (slots == "fill")
        return split("-.-.-.f32 -.-.-.f16 -.-.-.bf16 -.-.-.f64 -.-.-.i64 -.-.-.i32 -.-.-.u8", list, " ")
    if (slots == "move")
        return split("f64.-.-.f64 i64.-.-.i64 i32.-.-.i32 u8.-.-.u8 " \
            "f32.-.-.f32 f32.-.-.f16 f32.-.-.bf16 f16.-.-.f32 f16.-.-.f16 f16.-.-.bf16 " \
            "bf16.-.-.f32 bf16.-.-.f16 bf16.-.-.bf16", list, " ")
    split("", seen)
    counted = 0
    split("f16 bf16", halves, " ")
    for (h = 1; h <= 2; h++) {
        half = halves[h]
        n = 1
        part[1] = ""
        for (slot = 1; slot <= 4; slot++) {
            c = split(index(slots, substr("012O", slot, 1)) ? "f32 " half : "-", choices, " ")
            m = 0
            for (i = 1; i <= c; i++)
                for (j = 1; j <= n; j++)
                    next_part[++m] = part[j] (slot > 1 ? "." : "") choices[i]
            n = m
            for (i = 1; i <= n; i++)
                part[i] = next_part[i]
        }
        for (i = 1; i <= n; i++)
            if (!(part[i] in seen)) {
                seen[part[i]] = 1
                list[++counted] = part[i]
            }
    }
    return counted
}

BEGIN {split("T0 T1 T2 TO", slot_name, " ")}
{
    unit = $1; file = $2; define = $3; group = $4; kernels = split($6, kernel, " ")
    out = folder "/" unit ".cu"
    print "// Written by backends/cuda/instances.sh.\n#define GROUP " group "\n#define STRIP 1" >out
    print "#include \"backends/cuda/kernel_file.h\"" >out
    if (define != "")
        print "#define " define >out
    rows = ""
    count = combine($5, list)
    for (c = 1; c <= count; c++) {
        split(list[c], type, ".")
        space = "of"; begin = ""; end = ""; numbers = ""
        for (s = 1; s <= 4; s++) {
            if (type[s] == "-") {
                numbers = numbers "-1, "
                # Kernels of the file that this unit leaves out want it; these two files ask whether it is there.
                if (file ~ /elementwise|movement/)
                    continue
                given = "f32"
            } else {
                space = space "_" type[s]
                numbers = numbers "MCF_" toupper(type[s]) ", "
                given = type[s]
            }
            begin = begin "#define " slot_name[s] " " given "\n"
            end = end "#undef " slot_name[s] "\n"
        }
        printf "\n%snamespace %s {\n#include \"backends/kernels/%s\"\n}\n%s", begin, space, file, end >out
        for (k = 1; k <= kernels; k++)
            rows = rows "        {\"" kernel[k] "\", {" numbers "}, MCF_CUDA_KERNEL(" space "::" kernel[k] ")},\n"
    }
    printf "\nextern \"C\" cuda_kernel_table cuda_kernels_%s(void)\n{\n    static const cuda_kernel rows[] = {\n%s    };\n" \
        "    return {rows, (int)(sizeof rows / sizeof *rows)};\n}\n", unit, rows >out
    close(out)
    units = units " " unit
}

END {
    # First the tables of kernels that are written for CUDA alone, in *.cu of this folder: cuda_kernels_NAME.
    count = split("attention_tensor attention_volta norm_rows vectors" units, name, " ")
    out = folder "/tables.c"
    print "#include \"backends/cuda/kernel_table.h\"\n" >out
    for (i = 1; i <= count; i++)
        print "cuda_kernel_table cuda_kernels_" name[i] "(void);" >out
    print "\nconst cuda_kernel_table_fn cuda_kernel_tables[] = {" >out
    for (i = 1; i <= count; i++)
        print "    cuda_kernels_" name[i] "," >out
    print "    NULL};" >out
}' <<'UNITS'
attention_along|attention.cl|MCF_ATTENTION_ALONG|64|01|attention_along
attention|attention.cl|MCF_ATTENTION|64|0O|attention
attention_grad|attention.cl|MCF_ATTENTION_GRAD|64|01O|attention_grad_q attention_grad_kv
batch_variance|batch_norm.cl|MCF_BATCH_VARIANCE|128|0|batch_variance
batch_norm|batch_norm.cl|MCF_BATCH_NORM|128|0O|batch_norm
batch_norm_sums|batch_norm.cl|MCF_BATCH_NORM_SUMS|128|01|batch_norm_sums
batch_norm_grad|batch_norm.cl|MCF_BATCH_NORM_GRAD|128|01O|batch_norm_grad
resize_bilinear|bilinear.cl||128|0O|resize_bilinear resize_bilinear_grad
conv_columns|conv.cl|MCF_COLUMNS|128|0O|columns columns_back order_weight order_gradient
conv_words|conv.cl|MCF_COLUMNS_WORDS|128||columns_words columns_back_words
conv_grouped|conv.cl|MCF_GROUPED|128|01O|grouped grouped_grad_x
conv_grouped_weight|conv.cl|MCF_GROUPED_WEIGHT|128|01|grouped_grad_weight
elementwise_1|elementwise.cl||128|0O|scale_flat scale_strided relu gelu sigmoid
elementwise_2|elementwise.cl||128|01O|add_flat add_strided mul_flat mul_strided relu_grad gelu_grad sigmoid_grad
heatmap_points|heatmap.cl|MCF_HEATMAP_POINTS|128|0|heatmap_rows heatmap_centroids
heatmap_points_grad|heatmap.cl|MCF_HEATMAP_POINTS_GRAD|128|0O|heatmap_points_grad
point_distance|heatmap.cl|MCF_POINT_DISTANCE|128||point_distance point_distance_grad
heatmap_bce|heatmap.cl|MCF_HEATMAP_BCE|128|0|heatmap_bce
heatmap_bce_grad|heatmap.cl|MCF_HEATMAP_BCE_GRAD|128|0O|heatmap_bce_grad
pixel_cross_entropy|pixel_loss.cl|MCF_PIXEL_CROSS_ENTROPY|128|0|pixel_cross_entropy
pixel_cross_entropy_grad|pixel_loss.cl|MCF_PIXEL_CROSS_ENTROPY_GRAD|128|0O|pixel_cross_entropy_grad
max_pool|pool.cl|MCF_MAX_POOL|128|0O|max_pool
max_pool_grad|pool.cl|MCF_MAX_POOL_GRAD|128|01O|max_pool_grad
adaptive_avg_pool|pool.cl|MCF_ADAPTIVE_AVG_POOL|128|0O|adaptive_avg_pool adaptive_avg_pool_grad
prelu|prelu.cl|MCF_PRELU|128|0O|prelu
prelu_grad|prelu.cl|MCF_PRELU_GRAD|128|01O|prelu_grad
normalize_image|image.cl|MCF_NORMALIZE_IMAGE|128|O|normalize_image
resize|image.cl|MCF_RESIZE_NEAREST|128|0O|resize_nearest resize_nearest_grad
token_mse|loss.cl|MCF_TOKEN_MSE|128|01|token_mse
token_mse_grad|loss.cl|MCF_TOKEN_MSE_GRAD|128|01O|token_mse_grad
cross_entropy|loss.cl|MCF_CROSS_ENTROPY|128|0|cross_entropy
cross_entropy_grad|loss.cl|MCF_CROSS_ENTROPY_GRAD|128|0O|cross_entropy_grad
fill|movement.cl||128|fill|fill
movement|movement.cl||128|move|copy_flat copy_strided gather_rows scatter_rows
layer_norm|norm.cl|MCF_LAYER_NORM|128|0O|layer_norm
layer_norm_grad|norm.cl|MCF_LAYER_NORM|128|012O|layer_norm_grad
layer_norm_columns|norm.cl|MCF_LAYER_NORM|128|01|layer_norm_columns
add_layer_norm|norm.cl|MCF_ADD_LAYER_NORM|128|012O|add_layer_norm
l2|norm.cl|MCF_L2_NORMALIZE|128|0O|l2_normalize_lines l2_normalize_columns
l2_grad|norm.cl|MCF_L2_NORMALIZE_GRAD|128|01O|l2_normalize_grad_lines l2_normalize_grad_columns
product_epilogue|matmul.cl|MCF_PRODUCT_EPILOGUE|128|0O|epilogue
product_tile|matmul.cl|MCF_PRODUCT_TILE|128|01O|product_tile
reduce|reduce.cl||128|0O|reduce_lines reduce_squares reduce_columns reduce_any
softmax|softmax.cl|MCF_SOFTMAX|128|0O|softmax
softmax_grad|softmax.cl|MCF_SOFTMAX_GRAD|128|01O|softmax_grad
ema|state.cl|MCF_EMA|128|01|ema
adamw|state.cl|MCF_ADAMW|128||adamw
UNITS

for file in "$fresh"/*; do
    name=${file##*/}
    cmp -s "$file" "$folder/$name" || mv "$file" "$folder/$name"
    echo "$folder/$name"
done
