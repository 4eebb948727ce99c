"""Which calls are made, asked about or refused."""
