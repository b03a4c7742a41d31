"""With what a number was computed: source, environment, command; and two records compared."""
