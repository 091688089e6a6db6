# GRADC_SANITIZE=address,undefined instruments every target, ours and the tests'.
if(GRADC_SANITIZE)
  add_compile_options(-fsanitize=${GRADC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${GRADC_SANITIZE})
endif()
