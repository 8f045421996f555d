"""The paper's two trained stages (torch): user representation learning and look-alike learning."""
