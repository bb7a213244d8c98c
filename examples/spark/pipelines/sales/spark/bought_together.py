"""Counts pairs of products by baskets. Runs where Spark is; told what to read by Dagster Pipes.

On a cluster PipesEMRClient, PipesDatabricksClient or PipesK8sClient submits the same script.
"""

from dagster_pipes import open_dagster_pipes
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

with open_dagster_pipes() as pipes:
    spark = (
        SparkSession.builder.appName("bought together")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    lines = spark.read.parquet(*pipes.get_extra("lines")).select("basket_id", "product")
    pipes.log.info("Spark %s counts pairs on %s", spark.version, spark.sparkContext.master)

    others = lines.withColumnRenamed("product", "other")
    pairs = (
        lines.join(others, "basket_id")
        .where(f.col("product") < f.col("other"))
        .groupBy("product", "other")
        .agg(f.countDistinct("basket_id").alias("baskets"))
    )
    pairs.write.parquet(pipes.get_extra("result"))
    pipes.report_asset_materialization(
        metadata={"spark_master": spark.sparkContext.master, "spark_version": spark.version}
    )
    spark.stop()
