"""`python -m cafa` is `cafa`; torchrun starts it so."""

from cafa.cli import main

if __name__ == "__main__":
    main()
