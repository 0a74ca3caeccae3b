# tests/*/test_*.c: one cmocka program each. tests/*/*.sh: one shell test each, told where source and build are.
# ci/count.sh adds up what all of them say.
# Without cmocka the shell tests are left; the summary says so.
file(GLOB test_sources CONFIGURE_DEPENDS tests/*/test_*.c)
if(NOT CMOCKA_FOUND)
  set(test_sources "")
endif()
foreach(source ${test_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE mcf_objects PkgConfig::CMOCKA)
  target_compile_definitions(${name} PRIVATE MCF_SOURCE_DIR="${CMAKE_SOURCE_DIR}" MCF_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 1500)
endforeach()

if(TARGET test_stand_ins)
  target_sources(test_stand_ins PRIVATE tests/gpu/plain_yaml.c)
endif()

# What shell tests judge steps with.
add_executable(judge_step tests/tools/judge_step.c)
target_link_libraries(judge_step PRIVATE mcf_objects)
# A detector with drawn weights, for tests that have no real ones.
add_executable(draw_detector tests/tools/draw_detector.c)
target_link_libraries(draw_detector PRIVATE mcf_objects)
# Networks with drawn weights and what they answer, for tests of ONNX files.
add_executable(onnx_case tests/tools/onnx_case.c)
target_link_libraries(onnx_case PRIVATE mcf_objects)

# The emulator's own tests, where the CUDA backend is built on it.
if(TARGET mcf-cuda-emulator AND CMOCKA_FOUND)
  add_executable(test_cuda_emulator tests/backends/test_cuda_emulator.cpp)
  target_include_directories(test_cuda_emulator PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(test_cuda_emulator PRIVATE mcf-cuda-emulator PkgConfig::CMOCKA)
  add_test(NAME test_cuda_emulator COMMAND test_cuda_emulator)
  add_test(NAME cuda_golden COMMAND test_golden "cuda_*")
  set_tests_properties(cuda_golden PROPERTIES TIMEOUT 1500)
endif()

# lib.sh is what the others share; fresh_clone.sh and bare_machine.sh are long and called by ci/full.
file(GLOB test_scripts CONFIGURE_DEPENDS tests/*/*.sh)
list(REMOVE_ITEM test_scripts ${CMAKE_SOURCE_DIR}/tests/lib.sh ${CMAKE_SOURCE_DIR}/tests/backends/mpi_lib.sh
  ${CMAKE_SOURCE_DIR}/tests/house/fresh_clone.sh ${CMAKE_SOURCE_DIR}/tests/backends/bare_machine.sh)
foreach(script ${test_scripts})
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME ${name} COMMAND sh ${script} ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 1500 SKIP_RETURN_CODE 77)
endforeach()

# Every fuzz target over its corpus, fuzz/corpus/NAME of fuzz/fuzz_NAME.c.
file(GLOB fuzz_targets CONFIGURE_DEPENDS fuzz/fuzz_*.c)
foreach(source ${fuzz_targets})
  get_filename_component(name ${source} NAME_WE)
  string(REPLACE "fuzz_" "" what ${name})
  add_executable(replay_${what} ${source} tests/tools/replay.c)
  target_link_libraries(replay_${what} PRIVATE mcf_objects)
  add_test(NAME replay_${what} COMMAND replay_${what} ${CMAKE_SOURCE_DIR}/fuzz/corpus/${what})
endforeach()

# Preloaded by tests/backends/opencl.sh.
if(TARGET mcf-backend-opencl AND NOT MCF_SANITIZE)
  add_library(kill_in_rename MODULE tests/opencl/kill_in_rename.c)
endif()

# Modules that are wrong in one way each, for test_reference_registry.
set(flaw 0)
foreach(fake no_entry other_abi other_size nothing unusable good)
  math(EXPR flaw "${flaw} + 1")
  add_library(mcf-backend-${fake} MODULE EXCLUDE_FROM_ALL tests/backends/fake_backend.c)
  target_include_directories(mcf-backend-${fake} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(mcf-backend-${fake} PRIVATE FLAW=${flaw})
  set_target_properties(mcf-backend-${fake} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fake_modules)
  add_dependencies(test_reference_registry mcf-backend-${fake})
endforeach()

# Preloaded by ci/faults: calls that fail.
if(NOT MCF_SANITIZE)
  add_library(faults MODULE tests/tools/faults.c)
  target_link_libraries(faults PRIVATE ${CMAKE_DL_LIBS})
endif()
