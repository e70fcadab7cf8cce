"""The canonical ABI, as Python generated once per function type. The rules are those of the Component Model's
CanonicalABI document; ``layout`` has sizes and flattening, ``lift`` reads guest memory, ``lower`` writes it,
``functions`` makes whole host functions and exports of them."""
