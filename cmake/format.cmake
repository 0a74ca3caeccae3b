# format-check fails where a file is not as .clang-format says; format changes the files.
find_program(CLANG_FORMAT NAMES clang-format clang-format-14)
if(CLANG_FORMAT)
  add_custom_target(format-check WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} VERBATIM
    COMMAND sh -c "git ls-files '*.c' '*.h' | xargs ${CLANG_FORMAT} --dry-run -Werror")
  add_custom_target(format WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} VERBATIM
    COMMAND sh -c "git ls-files '*.c' '*.h' | xargs ${CLANG_FORMAT} -i")
endif()
