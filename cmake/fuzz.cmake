# fuzz/fuzz_*.c: one libFuzzer target each, with its corpus in fuzz/corpus/NAME. Needs clang.
if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "MCF_FUZZ needs clang: configure with CC=clang CXX=clang++")
endif()
file(GLOB fuzz_sources CONFIGURE_DEPENDS fuzz/fuzz_*.c)
foreach(source ${fuzz_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE mcf_objects)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endforeach()
# Coverage of the parsers guides the search.
target_compile_options(mcf_ops PRIVATE -fsanitize=fuzzer-no-link)
target_compile_options(mcf_objects PRIVATE -fsanitize=fuzzer-no-link)
