# embed_files(ROOM NAME DECLARATION FOLDER PATTERNS...): puts every matching file of FOLDER into the room's library as
# a C array, so that gee-cl is a single file. The generated NAME_embedded.c defines `const DECLARATION[]`, which the
# room's NAME.h declares: pairs {file name relative to FOLDER, text}, sorted by name, ended by {0, 0}.

function(embed_files room name declaration folder)
  list(TRANSFORM ARGN PREPEND ${CMAKE_SOURCE_DIR}/${folder}/ OUTPUT_VARIABLE patterns)
  file(GLOB files CONFIGURE_DEPENDS ${patterns})
  set(output ${CMAKE_BINARY_DIR}/${name}_embedded.c)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DNAME=${name} "-DDECLARATION=${declaration}"
            -DFOLDER=${CMAKE_SOURCE_DIR}/${folder} "-DFILES=${files}" -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "Embedding ${folder}" VERBATIM)
  target_sources(gee_${room} PRIVATE ${output})
endfunction()
