echo footer
