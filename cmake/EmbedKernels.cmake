# embed_kernels(ROOM): turns every file of cl/ into a C array in the binary, so that gee-cl is one file.
# The arrays are listed in kernels_embedded.c as {name, source} pairs; ops/kernels.h declares the list.

function(embed_kernels room)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cl/*.cl ${CMAKE_SOURCE_DIR}/cl/*.h)
  set(output ${CMAKE_BINARY_DIR}/kernels_embedded.c)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} "-DFILES=${files}" -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "Embedding kernels" VERBATIM)
  target_sources(gee_${room} PRIVATE ${output})
endfunction()
