# gradc_embed(OUTPUT.cpp FILE SYMBOL): a source file, made when FILE changes, that defines
# `std::string_view gradc::SYMBOL()` with the text of FILE. Run as a script, it writes that file.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${INPUT} text)
  # A literal holds at most 64 KiB in portable C++; lines are joined by the compiler.
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
  file(WRITE ${OUTPUT}
    "#include <string_view>\n\nnamespace gradc {\n\nstd::string_view ${SYMBOL}() {\n  return\n    \"${text}\";\n}\n\n}  // namespace gradc\n")
  return()
endif()

function(gradc_embed output file symbol)
  set(script ${PROJECT_SOURCE_DIR}/cmake/embed.cmake)
  add_custom_command(
    OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${output}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${CMAKE_CURRENT_SOURCE_DIR}/${file}
            -DOUTPUT=${CMAKE_CURRENT_BINARY_DIR}/${output} -DSYMBOL=${symbol} -P ${script}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file} ${script}
    VERBATIM)
endfunction()
