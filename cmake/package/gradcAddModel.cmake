# gradc_add_model(TARGET MODEL FILE
#   [NAME IDENTIFIER]                   of files, symbols and the C++ namespace (default: TARGET)
#   [TRAIN] [TRAIN_MODE] [LOSS L] [OPTIMIZER O] [LR R]
#   [MEMORY SIZE] [MEMORY_TOTAL SIZE] [THREADS N] [CPU C]
#   [BATCH N] [BIND NAME=VALUE...] [SHAPE INPUT=1x3x224x224...] [PARAMS PATTERN...] [FREEZE PATTERN...]
#   [WEIGHTS FILE] [OPTIONS FLAG...])
#
# Adds the static library TARGET: MODEL (an .onnx file, a .model description or an .ir dump, relative to the current source
# directory), compiled when the project is built, and again when the model, its external data, WEIGHTS or gradc itself
# change. Link it, include NAME.hpp or NAME.h. Each keyword is the flag of `gradc compile` of this name; further flags go
# into OPTIONS.
#
# A model that brings weights has them in the file that the target property GRADC_WEIGHTS names.
include_guard(GLOBAL)

function(gradc_add_model target)
  # Keyword, flag: the flags of gradc that take one value, and those that may be repeated.
  set(single LOSS OPTIMIZER LR MEMORY MEMORY_TOTAL THREADS CPU BATCH)
  set(several BIND SHAPE PARAMS FREEZE)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TRAIN;TRAIN_MODE" "MODEL;NAME;WEIGHTS;${single}" "OPTIONS;${several}")
  set(where "gradc_add_model(${target})")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${where}: unknown: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(arg_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "${where}: without a value: ${arg_KEYWORDS_MISSING_VALUES}")
  endif()
  if(NOT arg_MODEL)
    message(FATAL_ERROR "${where}: needs MODEL, a file")
  endif()
  if(TARGET "${target}")
    message(FATAL_ERROR "${where}: there is a target of this name; the model becomes a library of its own, link that to yours")
  endif()
  if(NOT TARGET gradc::gradc)
    message(FATAL_ERROR "${where}: only gradc's runtime is installed in ${gradc_DIR}; install the compiler as well")
  endif()

  if(NOT arg_NAME)
    string(MAKE_C_IDENTIFIER "${target}" arg_NAME)
  endif()
  if(NOT arg_NAME MATCHES "^[A-Za-z_][A-Za-z0-9_]*$")
    message(FATAL_ERROR "${where}: NAME ${arg_NAME} is not an identifier")
  endif()
  get_filename_component(model "${arg_MODEL}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  set(directory "${CMAKE_CURRENT_BINARY_DIR}/${target}.gradc")
  set(base "${directory}/${arg_NAME}")

  set(flags --name "${arg_NAME}" -o "${directory}" --depfile "${base}.d")
  set(sources "${model}")
  foreach(keyword TRAIN TRAIN_MODE)
    if(arg_${keyword})
      _gradc_flag(${keyword} flag)
      list(APPEND flags ${flag})
    endif()
  endforeach()
  foreach(keyword IN LISTS single several)
    _gradc_flag(${keyword} flag)
    foreach(value IN LISTS arg_${keyword})
      list(APPEND flags ${flag} "${value}")
    endforeach()
  endforeach()
  if(arg_WEIGHTS)
    get_filename_component(weights "${arg_WEIGHTS}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
    list(APPEND flags --weights "${weights}")
    list(APPEND sources "${weights}")
  endif()

  # The depfile adds external data; nothing is known of them before the first build.
  add_custom_command(
    OUTPUT "${base}.o" "${base}.h" "${base}.hpp" "${directory}/gradc_runtime.h" "${directory}/gradc_model.hpp"
    COMMAND gradc::gradc compile "${model}" ${flags} ${arg_OPTIONS} --quiet
    DEPENDS ${sources} gradc::gradc
    DEPFILE "${base}.d"
    COMMENT "Compiling model ${arg_MODEL}"
    VERBATIM)
  set_source_files_properties("${base}.o" PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  add_library(${target} STATIC "${base}.o" "${base}.h" "${base}.hpp")
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  set(language C)
  if("CXX" IN_LIST languages)
    set(language CXX)
  endif()
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE ${language} GRADC_WEIGHTS "${base}.safetensors")
  target_include_directories(${target} SYSTEM INTERFACE "${directory}")
  # Models of doubles call libm.
  target_link_libraries(${target} INTERFACE gradc::runtime m)
endfunction()

# TRAIN_MODE -> --train-mode
function(_gradc_flag keyword result)
  string(TOLOWER "${keyword}" flag)
  string(REPLACE "_" "-" flag "${flag}")
  set(${result} "--${flag}" PARENT_SCOPE)
endfunction()
