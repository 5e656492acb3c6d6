"""What GRPO with the verified reward is worth on the embedded model: mean reward on unseen rooms before and after."""
