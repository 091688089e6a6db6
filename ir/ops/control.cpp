// Ops that run another function of the module. The verifier holds the types to the callee's.
#include "ir/ops/rules.h"

namespace gradc::ops {

extern constexpr OpDef call = {
    .name = "call",
    .doc = "Runs the function or kernel named after @ on the operands; gives its results.",
    .kernel = KernelClass::control,
    .operands = -1,
    .results = -1,
    .attrs = {{"scratch_at", AttrKind::integer, false}},
};

// Body: carries, one slice of each sequence, constants -> next carries, outputs of this trip.
extern constexpr OpDef scan = {
    .name = "scan",
    .doc =
        "Runs the function named after @ `trips` times. Operands: the first `carries` are carried "
        "from trip to trip, "
        "the next `sequences` are sliced along axis 0, one slice a trip, the rest are the same "
        "each trip. Results: "
        "the final carries, then the body's other results stacked along a new axis 0. `reverse` "
        "goes from the last "
        "slice to the first.",
    .kernel = KernelClass::control,
    .operands = -1,
    .results = -1,
    .attrs = {{"carries", AttrKind::integer},
              {"reverse", AttrKind::boolean, false},
              {"sequences", AttrKind::integer},
              {"trips", AttrKind::integer}},
};

}  // namespace gradc::ops
