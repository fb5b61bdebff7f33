# Outside libraries. tools/install_deps lists the packages that bring them.
find_package(Protobuf REQUIRED)  # first: the onnx targets refer to protobuf::libprotobuf
find_package(ONNX REQUIRED)      # the targets bring ONNX_ML=1 and ONNX_NAMESPACE=onnx
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)

# Small tensors and shapes come and go by the million, which mimalloc serves in half the time of
# glibc's malloc. Not with sanitizers, which bring their own.
set(ASSAY_ALLOCATOR "")
if(ASSAY_MIMALLOC AND NOT ASSAY_SANITIZE)
  find_package(mimalloc QUIET)
  if(mimalloc_FOUND)
    set(ASSAY_ALLOCATOR mimalloc)
  else()
    message(STATUS "mimalloc not found: the programs use the C library's malloc")
  endif()
endif()

# Image files are read by their own libraries, for ImageDecoder alone.
if(ASSAY_IMAGES)
  pkg_check_modules(images IMPORTED_TARGET libjpeg libpng libwebp libtiff-4>=4.5 libopenjp2)
  if(NOT images_FOUND)
    message(STATUS "Not all image libraries found: ImageDecoder reads BMP and PNM only")
  endif()
endif()

# assay_find_optional(<setting> <package> <out>): <out> says whether what <setting> (ON, OFF, AUTO)
# governs is to be built. ON makes the package required.
macro(assay_find_optional setting package out)
  if(${setting} STREQUAL "AUTO")
    find_package(${package} QUIET)
    set(${out} ${${package}_FOUND})
    if(NOT ${out})
      message(STATUS "${package} not found: what ${setting} governs is not built")
    endif()
  elseif(${setting})
    find_package(${package} REQUIRED)
    set(${out} TRUE)
  else()
    set(${out} FALSE)
  endif()
endmacro()
