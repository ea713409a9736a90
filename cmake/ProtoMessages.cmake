# proto_messages(ROOM FILES...): makes protobuf messages of .proto files in src/ROOM/ part of the room, as FILE.pb-c.h.
# protoc-c writes their C code into the build folder; the project's warnings are not for it.
find_program(PROTOC_C protoc-c REQUIRED)

function(proto_messages room)
  set(folder ${CMAKE_BINARY_DIR}/${room}_proto)
  file(MAKE_DIRECTORY ${folder})
  foreach(file ${ARGN})
    get_filename_component(name ${file} NAME_WE)
    get_filename_component(from ${CMAKE_SOURCE_DIR}/src/${room}/${file} DIRECTORY)
    set(output ${folder}/${name}.pb-c)
    add_custom_command(
      OUTPUT ${output}.c ${output}.h
      COMMAND ${PROTOC_C} --proto_path=${from} --c_out=${folder} ${name}.proto
      DEPENDS ${from}/${name}.proto
      COMMENT "Generating ${name}.pb-c.c" VERBATIM)
    set_source_files_properties(${output}.c PROPERTIES COMPILE_OPTIONS -w)
    target_sources(gee_${room} PRIVATE ${output}.c ${output}.h)
  endforeach()
  target_include_directories(gee_${room} SYSTEM PRIVATE ${folder})
endfunction()
