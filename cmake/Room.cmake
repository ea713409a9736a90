# add_room(NAME USES rooms... LIBRARIES libs...): a static library gee_NAME from src/NAME/*.c.
# Its public headers are in src/NAME/include/NAME/, its private ones in src/NAME/. It sees the public headers of the
# rooms in USES and no others: breaking the law is a compile error.

set(GEE_WARNINGS -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
  $<$<BOOL:${GEE_WERROR}>:-Werror>)

if(GEE_SANITIZE STREQUAL "address")
  set(GEE_SANITIZER_OPTIONS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
elseif(GEE_SANITIZE STREQUAL "thread")
  set(GEE_SANITIZER_OPTIONS -fsanitize=thread -fno-omit-frame-pointer)
elseif(GEE_SANITIZE)
  message(FATAL_ERROR "GEE_SANITIZE is \"${GEE_SANITIZE}\"; it must be address, thread or empty")
endif()
if(GEE_FUZZ)
  list(APPEND GEE_SANITIZER_OPTIONS -fsanitize=fuzzer-no-link) # what libFuzzer looks at: branches and comparisons
endif()

function(add_room room)
  cmake_parse_arguments(ARG "" "" "USES;LIBRARIES" ${ARGN})
  set(target gee_${room})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${room}/*.c)
  add_library(${target} STATIC ${sources})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src/${room}/include
                                       PRIVATE ${CMAKE_SOURCE_DIR}/src/${room})
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE GEE_VERSION="${PROJECT_VERSION}")
  target_compile_options(${target} PRIVATE ${GEE_WARNINGS})
  target_compile_options(${target} PUBLIC ${GEE_SANITIZER_OPTIONS})
  target_link_options(${target} PUBLIC ${GEE_SANITIZER_OPTIONS})
  foreach(used ${ARG_USES})
    target_link_libraries(${target} PRIVATE gee_${used})
  endforeach()
  target_link_libraries(${target} PRIVATE ${ARG_LIBRARIES} m)
endfunction()
