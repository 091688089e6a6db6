gradc_test(import_test LIBS gradc_import SOURCES
  support/onnx_models.cpp
  unit/external_data_test.cpp
  unit/model_errors_test.cpp
  unit/model_examples_test.cpp
  unit/model_text_test.cpp
  unit/nn_model_test.cpp
  unit/nodes_activation_test.cpp
  unit/nodes_arrange_test.cpp
  unit/nodes_attention_test.cpp
  unit/nodes_conv_test.cpp
  unit/nodes_einsum_test.cpp
  unit/nodes_elementwise_test.cpp
  unit/nodes_index_test.cpp
  unit/nodes_loss_test.cpp
  unit/nodes_norm_test.cpp
  unit/nodes_pool_test.cpp
  unit/nodes_recurrent_test.cpp
  unit/nodes_reduce_test.cpp
  unit/nodes_resize_test.cpp
  unit/nodes_rotary_test.cpp
  unit/nodes_sample_test.cpp
  unit/onnx_check_test.cpp
  unit/onnx_file_test.cpp
  unit/onnx_import_test.cpp
  unit/onnx_sequence_test.cpp
  unit/onnx_writer_test.cpp)
target_include_directories(import_test SYSTEM PRIVATE ${PROTOZERO_INCLUDE_DIR})
# Its operator new counts.
gradc_test(onnx_damage_test LIBS gradc_import SOURCES
  support/heap_peak.cpp
  unit/onnx_damage_test.cpp)
target_include_directories(onnx_damage_test SYSTEM PRIVATE ${PROTOZERO_INCLUDE_DIR})
