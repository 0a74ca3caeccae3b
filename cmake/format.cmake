# format-check fails where a file is not as .clang-format says; format changes the files. Other versions of clang-format
# lay some lines out otherwise, so the test tests/house/format.sh runs with 14 only.
find_program(CLANG_FORMAT NAMES clang-format-14 clang-format)
if(CLANG_FORMAT)
  set(formatted "git ls-files '*.c' '*.h' '*.cu' '*.cpp' '*.cl'")
  add_custom_target(format-check WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} VERBATIM
    COMMAND sh -c "${formatted} | xargs ${CLANG_FORMAT} --dry-run -Werror")
  add_custom_target(format WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} VERBATIM
    COMMAND sh -c "${formatted} | xargs ${CLANG_FORMAT} -i")
endif()
