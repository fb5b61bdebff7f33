# A floor is a folder of the house and a library target of the same name; a row folder is one of its
# sub-folders in which every .cc is one row of a table.
set(ASSAY_GENERATED_DIR ${PROJECT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${ASSAY_GENERATED_DIR})

# assay_glob(<out> <pattern>...): the matching files, sorted, looked up again by every build.
function(assay_glob out)
  file(GLOB found CONFIGURE_DEPENDS ${ARGN})
  list(SORT found)
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# assay_rows(<floor> <folder>...): writes generated/<floor>_<folder>.inc, one line ENTRY(<stem>) per
# <floor>/<folder>/<stem>.cc. The table expands it, so the linker cannot drop a row and the order
# is the same everywhere.
function(assay_rows floor)
  foreach(folder IN LISTS ARGN)
    assay_glob(files ${PROJECT_SOURCE_DIR}/${floor}/${folder}/*.cc)
    set(entries "")
    foreach(file IN LISTS files)
      cmake_path(GET file STEM LAST_ONLY stem)
      if(NOT stem MATCHES "^[a-z][a-z0-9_]*$")
        message(FATAL_ERROR "${floor}/${folder}/${stem}.cc: the name of a row file becomes a C++ "
                            "name: use a-z, 0-9 and _")
      endif()
      string(APPEND entries "ENTRY(${stem})\n")
    endforeach()
    # Unlike file(WRITE), this keeps the time stamp when nothing changed.
    file(CONFIGURE OUTPUT ${ASSAY_GENERATED_DIR}/${floor}_${folder}.inc CONTENT "${entries}" @ONLY)
  endforeach()
endfunction()

# assay_library(<target> SOURCES ... LINKS ...): a static library, or an interface
# library while there is nothing to compile.
function(assay_library target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS")
  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope} ${PROJECT_SOURCE_DIR} ${ASSAY_GENERATED_DIR})
  target_link_libraries(${target} ${scope} ${arg_LINKS} Eigen3::Eigen fmt::fmt
                        nlohmann_json::nlohmann_json PkgConfig::zstd Threads::Threads)
endfunction()

# assay_floor(<floor> [ROWS <folder>...] [LINKS <floor>...]): the library of <floor>/*.cc and of its
# row folders.
function(assay_floor floor)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "ROWS;LINKS")
  set(patterns ${PROJECT_SOURCE_DIR}/${floor}/*.cc)
  foreach(folder IN LISTS arg_ROWS)
    list(APPEND patterns ${PROJECT_SOURCE_DIR}/${floor}/${folder}/*.cc)
  endforeach()
  assay_glob(sources ${patterns})
  assay_library(${floor} SOURCES ${sources} LINKS ${arg_LINKS})
endfunction()

# assay_link_private(<target> <library>...): links without handing on include paths or definitions.
function(assay_link_private target)
  get_target_property(type ${target} TYPE)
  if(NOT type STREQUAL "INTERFACE_LIBRARY")
    target_link_libraries(${target} PRIVATE ${ARGN})
  endif()
endfunction()
