# Program, library, header, pages, and what other builds need to find them.
install(TARGETS mcf RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS mcf_shared EXPORT mcfTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/mcf.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_BINARY_DIR}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 FILES_MATCHING PATTERN "*.1")
install(DIRECTORY configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/mcf/configs FILES_MATCHING PATTERN "*.yaml")
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The .pc file finds the tree by its own place, so that `cmake --install build --prefix ELSEWHERE` and moved trees work.
set(pc_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_prefix ${pc_dir} ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH pc_libdir ${pc_dir} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH pc_includedir ${pc_dir} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(cmake/mcf.pc.in mcf.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/mcf.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mcf)
configure_package_config_file(cmake/mcfConfig.cmake.in ${CMAKE_BINARY_DIR}/mcfConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/mcfConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/mcfConfig.cmake ${CMAKE_BINARY_DIR}/mcfConfigVersion.cmake DESTINATION ${package_dir})
install(EXPORT mcfTargets NAMESPACE mcf:: DESTINATION ${package_dir})
