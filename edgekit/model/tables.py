"""The tables of TFLite's `schema.fbs`, and their fields.

As with `edgekit.model.schema`, a test compares them with the schema in `ai_edge_litert`.
"""

# Fields in order, as `name:kind` or `name:kind=default`. A kind is a letter of Python's `struct`,
# `s` for a string, a table, a union (whose type is the field before it), or one of these in
# brackets for a vector; `-` is a field that is no longer used. Tables without fields, and
# StableHLO's, which no classifier needs, are left out.
TABLES = {
    "AddOptions": "fused_activation_function:b pot_scale_int16:?=1",
    "ArgMaxOptions": "output_type:b",
    "ArgMinOptions": "output_type:b",
    "BatchMatMulOptions": "adj_x:? adj_y:? asymmetric_quantize_inputs:?",
    "BidirectionalSequenceLSTMOptions": (
        "fused_activation_function:b cell_clip:f proj_clip:f merge_outputs:? time_major:?=1 "
        "asymmetric_quantize_inputs:?"
    ),
    "BidirectionalSequenceRNNOptions": (
        "time_major:? fused_activation_function:b merge_outputs:? asymmetric_quantize_inputs:?"
    ),
    "BlockwiseQuantization": "scales:i zero_points:i block_size:i",
    "BucketizeOptions": "boundaries:[f]",
    "Buffer": "data:[B] offset:Q size:Q",
    "CallOnceOptions": "init_subgraph_index:i",
    "CallOptions": "subgraph:I",
    "CastOptions": "in_data_type:b out_data_type:b",
    "ConcatEmbeddingsOptions": (
        "num_channels:i num_columns_per_channel:[i] embedding_dim_per_channel:[i]"
    ),
    "ConcatenationOptions": "axis:i fused_activation_function:b",
    "Conv2DOptions": (
        "padding:b stride_w:i stride_h:i fused_activation_function:b dilation_w_factor:i=1 "
        "dilation_h_factor:i=1 quantized_bias_type:b"
    ),
    "Conv3DOptions": (
        "padding:b stride_d:i stride_w:i stride_h:i fused_activation_function:b "
        "dilation_d_factor:i=1 dilation_w_factor:i=1 dilation_h_factor:i=1"
    ),
    "CumsumOptions": "exclusive:? reverse:?",
    "CustomQuantization": "custom:[B]",
    "DepthToSpaceOptions": "block_size:i",
    "DepthwiseConv2DOptions": (
        "padding:b stride_w:i stride_h:i depth_multiplier:i fused_activation_function:b "
        "dilation_w_factor:i=1 dilation_h_factor:i=1"
    ),
    "DimensionMetadata": (
        "format:b dense_size:i array_segments_type:B array_segments:SparseIndexVector "
        "array_indices_type:B array_indices:SparseIndexVector"
    ),
    "DivOptions": "fused_activation_function:b",
    "EmbeddingLookupSparseOptions": "combiner:b",
    "ExternalBuffer": "id:I group:I offset:Q length:Q packing:s",
    "ExternalBufferGroup": "name:s",
    "FakeQuantOptions": "min:f max:f num_bits:i narrow_range:?",
    "FullyConnectedOptions": (
        "fused_activation_function:b weights_format:b keep_num_dims:? "
        "asymmetric_quantize_inputs:? quantized_bias_type:b"
    ),
    "GatherOptions": "axis:i batch_dims:i",
    "GeluOptions": "approximate:?",
    "HashtableOptions": "table_id:i key_dtype:b value_dtype:b",
    "IfOptions": "then_subgraph_index:i else_subgraph_index:i",
    "Int32Vector": "values:[i]",
    "L2NormOptions": "fused_activation_function:b",
    "LSHProjectionOptions": "type:b",
    "LSTMOptions": (
        "fused_activation_function:b cell_clip:f proj_clip:f kernel_type:b "
        "asymmetric_quantize_inputs:?"
    ),
    "LeakyReluOptions": "alpha:f",
    "LocalResponseNormalizationOptions": "radius:i bias:f alpha:f beta:f",
    "Metadata": "name:s buffer:I",
    "MirrorPadOptions": "mode:b",
    "Model": (
        "version:I operator_codes:[OperatorCode] subgraphs:[SubGraph] description:s "
        "buffers:[Buffer] metadata_buffer:[i] metadata:[Metadata] "
        "signature_defs:[SignatureDef] external_buffer_groups:[ExternalBufferGroup] "
        "external_buffers:[ExternalBuffer]"
    ),
    "MulOptions": "fused_activation_function:b",
    "OneHotOptions": "axis:i",
    "Operator": (
        "opcode_index:I inputs:[i] outputs:[i] builtin_options_type:B "
        "builtin_options:BuiltinOptions custom_options:[B] custom_options_format:b "
        "mutating_variable_inputs:[?] intermediates:[i] large_custom_options_offset:Q "
        "large_custom_options_size:Q "
        "builtin_options2_type:B builtin_options2:BuiltinOptions2 debug_metadata_index:i=-1"
    ),
    "OperatorCode": "deprecated_builtin_code:b custom_code:s version:i=1 builtin_code:i",
    "PackOptions": "values_count:i axis:i",
    "Pool2DOptions": (
        "padding:b stride_w:i stride_h:i filter_width:i filter_height:i fused_activation_function:b"
    ),
    "QuantizationParameters": (
        "min:[f] max:[f] scale:[f] zero_point:[q] details_type:B details:QuantizationDetails "
        "quantized_dimension:i"
    ),
    "RNNOptions": "fused_activation_function:b asymmetric_quantize_inputs:?",
    "RandomOptions": "seed:q seed2:q",
    "ReduceWindowOptions": "reduce_function:i",
    "ReducerOptions": "keep_dims:?",
    "ReshapeOptions": "new_shape:[i]",
    "ResizeBilinearOptions": "_:- _:- align_corners:? half_pixel_centers:?",
    "ResizeNearestNeighborOptions": "align_corners:? half_pixel_centers:?",
    "ReverseSequenceOptions": "seq_dim:i batch_dim:i",
    "SVDFOptions": "rank:i fused_activation_function:b asymmetric_quantize_inputs:?",
    "SequenceRNNOptions": "time_major:? fused_activation_function:b asymmetric_quantize_inputs:?",
    "ShapeOptions": "out_type:b",
    "SignatureDef": "inputs:[TensorMap] outputs:[TensorMap] signature_key:s _:- subgraph_index:I",
    "SkipGramOptions": "ngram_size:i max_skip_size:i include_all_ngrams:?",
    "SoftmaxOptions": "beta:f",
    "SpaceToDepthOptions": "block_size:i",
    "SparseToDenseOptions": "validate_indices:?",
    "SparsityParameters": "traversal_order:[i] block_map:[i] dim_metadata:[DimensionMetadata]",
    "SplitOptions": "num_splits:i",
    "SplitVOptions": "num_splits:i",
    "SqueezeOptions": "squeeze_dims:[i]",
    "StridedSliceOptions": (
        "begin_mask:i end_mask:i ellipsis_mask:i new_axis_mask:i shrink_axis_mask:i offset:?"
    ),
    "SubGraph": (
        "tensors:[Tensor] inputs:[i] outputs:[i] operators:[Operator] name:s "
        "debug_metadata_index:i=-1"
    ),
    "SubOptions": "fused_activation_function:b pot_scale_int16:?=1",
    "Tensor": (
        "shape:[i] type:b buffer:I name:s quantization:QuantizationParameters is_variable:? "
        "sparsity:SparsityParameters shape_signature:[i] has_rank:? "
        "variant_tensors:[VariantSubType] external_buffer:I"
    ),
    "TensorMap": "name:s tensor_index:I",
    "TransposeConvOptions": (
        "padding:b stride_w:i stride_h:i fused_activation_function:b quantized_bias_type:b"
    ),
    "Uint16Vector": "values:[H]",
    "Uint8Vector": "values:[B]",
    "UnidirectionalSequenceLSTMOptions": (
        "fused_activation_function:b cell_clip:f proj_clip:f time_major:? "
        "asymmetric_quantize_inputs:? diagonal_recurrent_tensors:?"
    ),
    "UniqueOptions": "idx_out_type:b=2",
    "UnpackOptions": "num:i axis:i",
    "VarHandleOptions": "container:s shared_name:s",
    "VariantSubType": "shape:[i] type:b has_rank:?",
    "WhileOptions": "cond_subgraph_index:i body_subgraph_index:i",
}

# The tables that a union may hold, in the order of their numbers.
UNIONS = {
    "BuiltinOptions": (
        "NONE",
        "Conv2DOptions",
        "DepthwiseConv2DOptions",
        "ConcatEmbeddingsOptions",
        "LSHProjectionOptions",
        "Pool2DOptions",
        "SVDFOptions",
        "RNNOptions",
        "FullyConnectedOptions",
        "SoftmaxOptions",
        "ConcatenationOptions",
        "AddOptions",
        "L2NormOptions",
        "LocalResponseNormalizationOptions",
        "LSTMOptions",
        "ResizeBilinearOptions",
        "CallOptions",
        "ReshapeOptions",
        "SkipGramOptions",
        "SpaceToDepthOptions",
        "EmbeddingLookupSparseOptions",
        "MulOptions",
        "PadOptions",
        "GatherOptions",
        "BatchToSpaceNDOptions",
        "SpaceToBatchNDOptions",
        "TransposeOptions",
        "ReducerOptions",
        "SubOptions",
        "DivOptions",
        "SqueezeOptions",
        "SequenceRNNOptions",
        "StridedSliceOptions",
        "ExpOptions",
        "TopKV2Options",
        "SplitOptions",
        "LogSoftmaxOptions",
        "CastOptions",
        "DequantizeOptions",
        "MaximumMinimumOptions",
        "ArgMaxOptions",
        "LessOptions",
        "NegOptions",
        "PadV2Options",
        "GreaterOptions",
        "GreaterEqualOptions",
        "LessEqualOptions",
        "SelectOptions",
        "SliceOptions",
        "TransposeConvOptions",
        "SparseToDenseOptions",
        "TileOptions",
        "ExpandDimsOptions",
        "EqualOptions",
        "NotEqualOptions",
        "ShapeOptions",
        "PowOptions",
        "ArgMinOptions",
        "FakeQuantOptions",
        "PackOptions",
        "LogicalOrOptions",
        "OneHotOptions",
        "LogicalAndOptions",
        "LogicalNotOptions",
        "UnpackOptions",
        "FloorDivOptions",
        "SquareOptions",
        "ZerosLikeOptions",
        "FillOptions",
        "BidirectionalSequenceLSTMOptions",
        "BidirectionalSequenceRNNOptions",
        "UnidirectionalSequenceLSTMOptions",
        "FloorModOptions",
        "RangeOptions",
        "ResizeNearestNeighborOptions",
        "LeakyReluOptions",
        "SquaredDifferenceOptions",
        "MirrorPadOptions",
        "AbsOptions",
        "SplitVOptions",
        "UniqueOptions",
        "ReverseV2Options",
        "AddNOptions",
        "GatherNdOptions",
        "CosOptions",
        "WhereOptions",
        "RankOptions",
        "ReverseSequenceOptions",
        "MatrixDiagOptions",
        "QuantizeOptions",
        "MatrixSetDiagOptions",
        "HardSwishOptions",
        "IfOptions",
        "WhileOptions",
        "DepthToSpaceOptions",
        "NonMaxSuppressionV4Options",
        "NonMaxSuppressionV5Options",
        "ScatterNdOptions",
        "SelectV2Options",
        "DensifyOptions",
        "SegmentSumOptions",
        "BatchMatMulOptions",
        "CumsumOptions",
        "CallOnceOptions",
        "BroadcastToOptions",
        "Rfft2dOptions",
        "Conv3DOptions",
        "HashtableOptions",
        "HashtableFindOptions",
        "HashtableImportOptions",
        "HashtableSizeOptions",
        "VarHandleOptions",
        "ReadVariableOptions",
        "AssignVariableOptions",
        "RandomOptions",
        "BucketizeOptions",
        "GeluOptions",
        "DynamicUpdateSliceOptions",
        "UnsortedSegmentProdOptions",
        "UnsortedSegmentMaxOptions",
        "UnsortedSegmentMinOptions",
        "UnsortedSegmentSumOptions",
        "ATan2Options",
        "SignOptions",
        "BitcastOptions",
        "BitwiseXorOptions",
        "RightShiftOptions",
    ),
    "BuiltinOptions2": (
        "NONE",
        "StablehloConcatenateOptions",
        "StablehloBroadcastInDimOptions",
        "StablehloSliceOptions",
        "StablehloConvolutionOptions",
        "StablehloCustomCallOptions",
        "StablehloReduceOptions",
        "StablehloScatterOptions",
        "StablehloCompareOptions",
        "StablehloDynamicSliceOptions",
        "StablehloPadOptions",
        "StablehloIotaOptions",
        "StablehloDotGeneralOptions",
        "StablehloReduceWindowOptions",
        "StablehloSortOptions",
        "StablehloWhileOptions",
        "StablehloGatherOptions",
        "StablehloTransposeOptions",
        "DilateOptions",
        "StablehloRngBitGeneratorOptions",
        "ReduceWindowOptions",
        "StableHLOCompositeOptions",
        "StablehloShiftLeftOptions",
        "StablehloCaseOptions",
    ),
    "QuantizationDetails": ("NONE", "CustomQuantization", "BlockwiseQuantization"),
    "SparseIndexVector": ("NONE", "Int32Vector", "Uint16Vector", "Uint8Vector"),
}
