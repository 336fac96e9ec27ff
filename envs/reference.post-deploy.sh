#!/usr/bin/env bash
# Without their own requirements: laion-clap and msclap ask for numpy<2 and run with 2.3. ImageBind and Synchformer are no packages:
# clone their repositories, and name them with --imagebind and --synchformer.
set -euo pipefail
python -m pip install --no-deps laion-clap==1.1.7 panns-inference==0.1.1 frechet-audio-distance==0.3.4 \
  hear21passt==0.0.26 torchvggish==0.2 msclap==1.3.4 audiobox-aesthetics==0.0.4
