"""What a text says: forms of responses, quantities, statements about regions, arithmetic."""
