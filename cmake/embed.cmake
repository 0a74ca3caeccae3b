# Writes the text FILES into the C file OUT as ocl_sources[] (backends/opencl/sources.h), line by line as string
# literals are limited in length: each file is an array of bytes.
set(arrays "")
set(rows "")
set(count 0)
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
    bytes "${bytes}")
  string(APPEND arrays "static const unsigned char file_${count}[] = {\n${bytes}0};\n")
  string(APPEND rows "    {\"${name}\", (const char *)file_${count}},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUT} "#include \"backends/opencl/sources.h\"\n\n${arrays}\nconst ocl_source ocl_sources[] = {\n${rows}};\n"
  "const int ocl_source_count = ${count};\n")
