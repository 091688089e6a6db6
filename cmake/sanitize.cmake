# GRADC_SANITIZE=address,undefined instruments every target, ours and the tests'. What the compiler under test emits
# is not instrumented: its reads and writes are held by guard pages, poison and the plan's checker (runtime/guarded.h,
# compiler/plan/checker.h), its races by results that are the same bits for every number of threads. The pool that runs
# it is instrumented, so there are no false alarms either, and nothing is suppressed.
if(GRADC_SANITIZE)
  add_compile_options(-fsanitize=${GRADC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${GRADC_SANITIZE})
endif()
