# Compile and link flags of every target.

# The baseline is named instead of "native" so that a build gives the same numbers on every machine.
set(default_arch "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(default_arch "x86-64-v3")
  if(EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo v3_capable REGEX "^flags.* avx2 .*bmi2 " LIMIT_COUNT 1)
    if(NOT v3_capable)
      set(default_arch "")
      message(STATUS "This processor lacks AVX2: building for plain x86-64; floating-point results "
                     "may differ in the last bits from those of an x86-64-v3 build")
    endif()
  endif()
endif()
set(ASSAY_ARCH "${default_arch}" CACHE STRING "Value of -march=; empty for the compiler's default")
if(ASSAY_ARCH)
  add_compile_options(-march=${ASSAY_ARCH})
endif()

# A contracted a*b+c rounds once instead of twice, and whether it happens depends on the compiler.
add_compile_options(-ffp-contract=off)
# Eigen must neither start threads nor block its products by the cache sizes of the machine it runs
# on: the blocking decides the order of additions, and with it the last bits of every result.
add_compile_definitions(EIGEN_DONT_PARALLELIZE EIGEN_NO_CPUID EIGEN_MPL2_ONLY)

# missing-field-initializers: a row names only the fields it needs, the rest have defaults.
add_compile_options(-Wall -Wextra -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees overlaps in std::string concatenation (GCC bug 105651) and, with sanitizers,
  # uninitialised or out-of-bounds elements in Eigen that are not there.
  add_compile_options(-Wno-restrict)
  if(ASSAY_WERROR)
    add_compile_options(-Wno-error=maybe-uninitialized -Wno-error=array-bounds
                        -Wno-error=stringop-overflow -Wno-error=stringop-overread -Wno-error=free-nonheap-object)
  endif()
endif()
if(ASSAY_WERROR)
  add_compile_options(-Werror)
endif()

if(ASSAY_SANITIZE)
  add_compile_options(-fsanitize=${ASSAY_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ASSAY_SANITIZE})
  if(ASSAY_SANITIZE MATCHES "undefined")
    # A float outside the range of its integer type converts differently on every processor.
    add_compile_options(-fsanitize=float-cast-overflow)
    add_link_options(-fsanitize=float-cast-overflow)
  endif()
endif()
if(ASSAY_LIBFUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# __FILE__ and debug information name files from the repository top, wherever it lies. The second
# map is for ccache, which hands the compiler paths relative to the build folder.
file(RELATIVE_PATH source_from_build ${CMAKE_BINARY_DIR} ${PROJECT_SOURCE_DIR})
string(REGEX REPLACE "/$" "" source_from_build "${source_from_build}")
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=
                    -ffile-prefix-map=${source_from_build}/=)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The base folder lets several checkouts share their hits.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
                                  CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
endif()
