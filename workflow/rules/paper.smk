rule page:
    input:
        "<results>/spectral/summary.csv",
    output:
        "<results>/index.html",
    shell:
        "cp {input} {output}"
