# add_room(NAME USES rooms... LIBRARIES libs...): a static library gee_NAME from src/NAME/*.c.
# Its public headers lie in src/NAME/include/NAME/, its private ones in src/NAME/. Only the public headers
# of the rooms named in USES are visible to it: the law is a compile error, not a convention.

set(GEE_WARNINGS -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla)

function(target_room target room)
  cmake_parse_arguments(ARG "" "" "USES;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${room}/*.c)
  target_sources(${target} PRIVATE ${sources})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src/${room}/include
                                       PRIVATE ${CMAKE_SOURCE_DIR}/src/${room})
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE GEE_VERSION="${PROJECT_VERSION}")
  target_compile_options(${target} PRIVATE ${GEE_WARNINGS} $<$<BOOL:${GEE_WERROR}>:-Werror>)
  if(GEE_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=address,undefined -fno-sanitize-recover=undefined
                                            -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
  foreach(used ${ARG_USES})
    target_link_libraries(${target} PRIVATE gee_${used})
  endforeach()
  target_link_libraries(${target} PRIVATE ${ARG_LIBRARIES} m)
endfunction()

function(add_room room)
  add_library(gee_${room} STATIC)
  target_room(gee_${room} ${room} ${ARGN})
endfunction()
