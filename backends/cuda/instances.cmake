# Writes the kernel files of the CUDA build: every kernel of backends/kernels for the combinations of element types that
# cuda_supports (call.c) lets through. A kernel file is included once for each combination, inside a namespace of its
# own, and a table at the end names what came out.
#
# mcf_cuda_instances(FOLDER LIST) sets LIST to the files.

# unit; file; definition; group; slots of float types (0 T0, 1 T1, 2 T2, O TO); kernels. Beside floats, `move` has all
# types to themselves.
set(mcf_cuda_units
  "attention_along|attention.cl|MCF_ATTENTION_ALONG|64|01|attention_along"
  "attention|attention.cl|MCF_ATTENTION|64|0O|attention"
  "attention_grad|attention.cl|MCF_ATTENTION_GRAD|64|01O|attention_grad_q attention_grad_kv"
  "batch_variance|batch_norm.cl|MCF_BATCH_VARIANCE|128|0|batch_variance"
  "batch_norm|batch_norm.cl|MCF_BATCH_NORM|128|0O|batch_norm"
  "batch_norm_sums|batch_norm.cl|MCF_BATCH_NORM_SUMS|128|01|batch_norm_sums"
  "batch_norm_grad|batch_norm.cl|MCF_BATCH_NORM_GRAD|128|01O|batch_norm_grad"
  "elementwise_1|elementwise.cl||128|0O|scale_flat scale_strided relu gelu sigmoid"
  "elementwise_2|elementwise.cl||128|01O|add_flat add_strided mul_flat mul_strided relu_grad gelu_grad sigmoid_grad"
  "normalize_image|images.cl|MCF_NORMALIZE_IMAGE|128|O|normalize_image"
  "resize|images.cl|MCF_RESIZE_NEAREST|128|0O|resize_nearest resize_nearest_grad"
  "token_mse|losses.cl|MCF_TOKEN_MSE|128|01|token_mse"
  "token_mse_grad|losses.cl|MCF_TOKEN_MSE_GRAD|128|01O|token_mse_grad"
  "cross_entropy|losses.cl|MCF_CROSS_ENTROPY|128|0|cross_entropy"
  "cross_entropy_grad|losses.cl|MCF_CROSS_ENTROPY_GRAD|128|0O|cross_entropy_grad"
  "fill|movement.cl||128|fill|fill"
  "movement|movement.cl||128|move|copy_flat copy_strided gather_rows scatter_rows"
  "layer_norm|norm.cl|MCF_LAYER_NORM|128|0O|layer_norm"
  "layer_norm_grad|norm.cl|MCF_LAYER_NORM|128|012O|layer_norm_grad"
  "layer_norm_columns|norm.cl|MCF_LAYER_NORM|128|01|layer_norm_columns"
  "add_layer_norm|norm.cl|MCF_ADD_LAYER_NORM|128|012O|add_layer_norm"
  "l2|norm.cl|MCF_L2_NORMALIZE|128|0O|l2_normalize_lines l2_normalize_columns"
  "l2_grad|norm.cl|MCF_L2_NORMALIZE_GRAD|128|01O|l2_normalize_grad_lines l2_normalize_grad_columns"
  "product_epilogue|product.cl|MCF_PRODUCT_EPILOGUE|128|0O|epilogue"
  "product_tile|product.cl|MCF_PRODUCT_TILE|128|01O|product_tile"
  "reduce|reduce.cl||128|0O|reduce_lines reduce_squares reduce_columns reduce_any"
  "softmax|softmax.cl|MCF_SOFTMAX|128|0O|softmax"
  "softmax_grad|softmax.cl|MCF_SOFTMAX_GRAD|128|01O|softmax_grad"
  "ema|state.cl|MCF_EMA|128|01|ema"
  "adamw|state.cl|MCF_ADAMW|128||adamw")

# All combinations of f32 with one 16-bit type in the slots, as "t0.t1.t2.to" with - for slots that are free.
function(mcf_cuda_combinations slots result)
  if(slots STREQUAL "fill")
    set(${result} "-.-.-.f32;-.-.-.f16;-.-.-.bf16;-.-.-.f64;-.-.-.i64;-.-.-.i32;-.-.-.u8" PARENT_SCOPE)
    return()
  endif()
  if(slots STREQUAL "move")
    set(list "f64.-.-.f64;i64.-.-.i64;i32.-.-.i32;u8.-.-.u8")
    foreach(a f32 f16 bf16)
      foreach(b f32 f16 bf16)
        list(APPEND list "${a}.-.-.${b}")
      endforeach()
    endforeach()
    set(${result} "${list}" PARENT_SCOPE)
    return()
  endif()
  set(list "")
  foreach(half f16 bf16)
    set(part "")
    foreach(slot 0 1 2 O)
      string(FIND "${slots}" "${slot}" found)
      set(choices "-")
      if(NOT found EQUAL -1)
        set(choices f32 ${half})
      endif()
      set(next "")
      foreach(choice ${choices})
        if(NOT part)
          list(APPEND next "${choice}")
        endif()
        foreach(begun ${part})
          list(APPEND next "${begun}.${choice}")
        endforeach()
      endforeach()
      set(part ${next})
    endforeach()
    list(APPEND list ${part})
  endforeach()
  list(REMOVE_DUPLICATES list)
  set(${result} "${list}" PARENT_SCOPE)
endfunction()

function(mcf_cuda_write_unit folder unit)
  string(REPLACE "|" ";" field "${unit}")
  list(GET field 0 name)
  list(GET field 1 file)
  list(GET field 2 define)
  list(GET field 3 group)
  list(GET field 4 slots)
  list(GET field 5 kernels)
  string(REPLACE " " ";" kernels "${kernels}")
  mcf_cuda_combinations("${slots}" combinations)
  set(text "// Written by backends/cuda/instances.cmake.\n#define GROUP ${group}\n#define STRIP 1\n")
  string(APPEND text "#include \"backends/cuda/kernel_file.h\"\n")
  if(define)
    string(APPEND text "#define ${define}\n")
  endif()
  set(rows "")
  foreach(combination ${combinations})
    string(REPLACE "." ";" types "${combination}")
    set(space "of")
    set(begin "")
    set(end "")
    set(numbers "")
    foreach(slot T0 T1 T2 TO)
      list(POP_FRONT types type)
      if(type STREQUAL "-")
        string(APPEND numbers "-1, ")
        # Kernels of the file that this unit leaves out want it; these two files ask whether it is there.
        if(NOT file MATCHES "elementwise|movement")
          string(APPEND begin "#define ${slot} f32\n")
          string(APPEND end "#undef ${slot}\n")
        endif()
      else()
        string(APPEND space "_${type}")
        string(APPEND begin "#define ${slot} ${type}\n")
        string(APPEND end "#undef ${slot}\n")
        string(TOUPPER ${type} upper)
        string(APPEND numbers "MCF_${upper}, ")
      endif()
    endforeach()
    string(APPEND text "\n${begin}namespace ${space} {\n#include \"backends/kernels/${file}\"\n}\n${end}")
    foreach(kernel ${kernels})
      string(APPEND rows "        {\"${kernel}\", {${numbers}}, MCF_CUDA_KERNEL(${space}::${kernel})},\n")
    endforeach()
  endforeach()
  string(APPEND text "\nextern \"C\" cuda_kernel_table cuda_kernels_${name}(void)\n{\n"
    "    static const cuda_kernel rows[] = {\n${rows}    };\n"
    "    return {rows, (int)(sizeof rows / sizeof *rows)};\n}\n")
  file(CONFIGURE OUTPUT ${folder}/${name}.cu CONTENT "${text}" @ONLY)
endfunction()

# Tables of kernels that are written for CUDA alone, in *.cu of this folder: cuda_kernels_NAME.
set(mcf_cuda_own_tables attention_tensor layer_norm_rows vectors)

function(mcf_cuda_instances folder result)
  set(files "")
  set(declared "")
  set(listed "")
  foreach(name ${mcf_cuda_own_tables})
    string(APPEND declared "cuda_kernel_table cuda_kernels_${name}(void);\n")
    string(APPEND listed "    cuda_kernels_${name},\n")
  endforeach()
  foreach(unit ${mcf_cuda_units})
    string(REGEX REPLACE "[|].*" "" name "${unit}")
    mcf_cuda_write_unit(${folder} "${unit}")
    list(APPEND files ${folder}/${name}.cu)
    string(APPEND declared "cuda_kernel_table cuda_kernels_${name}(void);\n")
    string(APPEND listed "    cuda_kernels_${name},\n")
  endforeach()
  file(CONFIGURE OUTPUT ${folder}/tables.c @ONLY CONTENT
    "#include \"backends/cuda/kernel_table.h\"\n\n${declared}
const cuda_kernel_table_fn cuda_kernel_tables[] = {\n${listed}    NULL};\n")
  list(APPEND files ${folder}/tables.c)
  set(${result} "${files}" PARENT_SCOPE)
endfunction()
